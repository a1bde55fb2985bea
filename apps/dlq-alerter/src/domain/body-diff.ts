import { z } from 'zod'

/** One place where two bodies differ. What is not there on a side is left out there. */
export interface Difference {
  /** `lines.0.quantity`; empty: the whole. */
  readonly path: string
  readonly before?: unknown
  readonly after?: unknown
}

const record = z.record(z.string(), z.unknown())

/** Every place where two JSON values differ, in the order of their paths. */
export function differences(before: unknown, after: unknown, path = ''): Difference[] {
  const [a, b] = [entriesOf(before), entriesOf(after)]
  // An array and an object are not compared member by member.
  if (!a || !b || Array.isArray(before) !== Array.isArray(after)) {
    return Object.is(before, after) ? [] : [{ path, before, after }]
  }
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((name) => {
    const at = path === '' ? name : `${path}.${name}`
    if (!a.has(name)) return [{ path: at, after: b.get(name) }]
    if (!b.has(name)) return [{ path: at, before: a.get(name) }]
    return differences(a.get(name), b.get(name), at)
  })
}

function entriesOf(value: unknown): Map<string, unknown> | undefined {
  if (Array.isArray(value)) return new Map(value.map((item, index) => [String(index), item]))
  const read = record.safeParse(value)
  return read.success ? new Map(Object.entries(read.data)) : undefined
}
