/** Ends a switch over a union: a case that is missing does not compile. This package's core imports nothing, hence its own. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value ${JSON.stringify(value)}`)
}
