import { z } from 'zod'

/** A whole number in a query string: digits and nothing else, where `Number` also takes `1e1`, `0x10` and `+5`. */
export function queryNumber(min: number, max: number) {
  const expected = `a whole number from ${min} to ${max}`
  const error = `expected ${expected}`
  return z
    .string(error)
    .regex(/^(0|[1-9]\d{0,15})$/, error)
    .transform(Number)
    .pipe(z.int(error).min(min, error).max(max, error))
    .describe(expected)
}
