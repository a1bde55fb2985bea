import { randomUUID } from 'node:crypto'

const traceparentSyntax = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const allZero = /^0+$/

/**
 * The W3C `traceparent` to send onwards: the trace of a valid incoming header goes on with a new
 * span id; anything else starts a new, sampled trace.
 */
export function traceparentFrom(header?: string): string {
  const [, trace = '', parent = '', flags = ''] = traceparentSyntax.exec(header ?? '') ?? []
  const fresh = randomHex()
  if (trace === '' || allZero.test(trace) || allZero.test(parent)) {
    return `00-${fresh}-${spanOf(randomHex())}-01`
  }
  return `00-${trace}-${spanOf(fresh)}-${flags}`
}

// Node draws the random bytes of 128 UUIDs at once: a system call for each message would cost more than all of its headers.
function randomHex(): string {
  return randomUUID().replaceAll('-', '')
}

// The first and last digits of a UUID v4; its version and variant lie between them.
function spanOf(hex: string): string {
  return hex.slice(0, 8) + hex.slice(24)
}
