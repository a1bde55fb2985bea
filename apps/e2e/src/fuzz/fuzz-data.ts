import { randomOf } from '../random.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** Random choices and values that a seed determines. */
export interface FuzzData {
  /** From 0 to `below` − 1. */
  int(below: number): number
  chance(probability: number): boolean
  pick<Item>(items: readonly [Item, ...Item[]]): Item
  bytes(length: number): Buffer
  /** Text as nobody means it: control characters, half surrogate pairs, other scripts, much of it, or nothing. */
  text(): string
  number(): number
  json(depthMax?: number): Json
  /** An id as the services make them, of this moment. */
  uuidV7(): string
}

const oddTexts = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\uD800',
  '\uDFFF\uD800',
  '\u202Eabc',
  '🧪👩‍👩‍👧',
  'ﬁ',
  "'; drop table orders; --",
  '${7*7}{{7*7}}',
  '../../etc/passwd',
  '%00',
  '-1',
  '1e400',
  'null',
  '__proto__',
  'constructor',
  '\r\nx: y',
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '00000000-0000-0000-0000-000000000000',
] as const
const oddNumbers = [
  0,
  -0,
  1,
  -1,
  0.1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  1e308,
  -1e308,
  5e-324,
] as const

/** The values of a seed. */
export function fuzzData(seed: number): FuzzData {
  const random = randomOf(seed)
  const int = (below: number): number => Math.floor(random() * below)
  const chance = (probability: number): boolean => random() < probability
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item =>
    items[int(items.length)] ?? items[0]
  const bytes = (length: number): Buffer => Buffer.from(Array.from({ length }, () => int(256)))
  const text = (): string => {
    if (chance(0.5)) return pick(oddTexts)
    const unit = chance(0.5) ? String.fromCharCode(32 + int(95)) : String.fromCharCode(int(65_536))
    return unit.repeat(chance(0.05) ? int(20_000) : 1 + int(40))
  }
  const number = (): number => (chance(0.6) ? pick(oddNumbers) : int(2_000_000) - 1_000_000)
  const json = (depthMax = 3): Json => {
    const leaves = [null, chance(0.5), number(), text()] as const
    if (depthMax === 0 || chance(0.5)) return pick(leaves)
    const values = Array.from({ length: int(4) }, () => json(depthMax - 1))
    if (chance(0.5)) return values
    return Object.fromEntries(values.map((value) => [text(), value]))
  }
  const uuidV7 = (): string => {
    const time = Date.now().toString(16).padStart(12, '0')
    const hex = bytes(10).toString('hex')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-8${hex.slice(3, 6)}-${hex.slice(6, 18)}`
  }
  return { int, chance, pick, bytes, text, number, json, uuidV7 }
}
