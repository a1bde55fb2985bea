import { randomBytes } from 'node:crypto'

const traceparentSyntax = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
const allZero = /^0+$/

/**
 * The W3C `traceparent` to send onwards: the trace of a valid incoming header goes on with a new
 * span id; anything else starts a new, sampled trace.
 */
export function traceparentFrom(header?: string): string {
  const [, trace = '', parent = '', flags = ''] = traceparentSyntax.exec(header ?? '') ?? []
  if (trace === '' || allZero.test(trace) || allZero.test(parent)) {
    return `00-${randomHex(16)}-${randomHex(8)}-01`
  }
  return `00-${trace}-${randomHex(8)}-${flags}`
}

function randomHex(bytes: number): string {
  return randomBytes(bytes).toString('hex')
}
