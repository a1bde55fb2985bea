/** A text that Postgres can store: it knows no NUL. */
export function storableText(text: string): string {
  return text.replaceAll('\0', '\u{FFFD}')
}

/** The first bytes of a text, cut between two characters. */
export function firstBytes(text: string, bytesMax: number): string {
  // Every UTF-16 unit is at most three bytes, so most texts need not be encoded.
  if (text.length * 3 <= bytesMax) return text
  return decodePrefix(Buffer.from(text), bytesMax)
}

/** As many whole characters of UTF-8 text as fit into so many bytes. */
export function decodePrefix(bytes: Uint8Array, bytesMax: number): string {
  let end = Math.min(bytes.byteLength, bytesMax)
  if (end < bytes.byteLength) while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1
  return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('utf8')
}
