import { createHash } from 'node:crypto'

/** The id of the group of a fingerprint: whoever has the one has the other. */
export function groupIdOf(fingerprint: string): string {
  return formatted(hashOf([fingerprint]), '8')
}

/**
 * An id for what has none that can be used: made of what it is and where it lay, so that the same delivery gets the same one again.
 * A uuid v7 of that time, so that an inbox has a place for it.
 */
export function derivedMessageId(at: Date, parts: readonly (string | Uint8Array)[]): string {
  const time = Math.max(0, at.getTime()).toString(16).padStart(12, '0').slice(-12)
  return formatted(time + hashOf(parts).slice(12), '7')
}

function hashOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256')
  // Each with its length, so that no two lists of parts look alike.
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:`).update(part)
  return hash.digest('hex')
}

function formatted(hex: string, version: '7' | '8'): string {
  const variant = ((Number.parseInt(hex.slice(16, 17), 16) & 3) | 8).toString(16)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    version + hex.slice(13, 16),
    variant + hex.slice(17, 20),
    hex.slice(20, 32),
  ].join('-')
}
