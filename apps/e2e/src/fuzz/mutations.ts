import type { FuzzData, Json } from './fuzz-data.ts'

const repeatedBytesMax = 100_000

/** A copy of a value with one thing changed, anywhere in it: left out, put in, of another type, too long, too deep. */
export function mutateJson(value: Json, data: FuzzData): Json {
  if (typeof value !== 'object' || value === null || data.chance(0.1)) return replacement(data)
  if (Array.isArray(value)) return mutateArray(value, data)
  const keys = Object.keys(value)
  const key = keys[data.int(keys.length)]
  if (key === undefined || data.chance(0.15)) return { ...value, [data.text()]: data.json(1) }
  const { [key]: chosen = null, ...others } = value
  if (data.chance(0.2)) return others
  if (data.chance(0.05)) return { ...others, [`${key}${data.text()}`]: chosen }
  return { ...others, [key]: mutateJson(chosen, data) }
}

function mutateArray(values: readonly Json[], data: FuzzData): Json {
  const index = data.int(values.length)
  const chosen = values[index]
  if (chosen === undefined || data.chance(0.2)) return [...values, data.json(1)]
  if (data.chance(0.1)) return repeated(chosen, data.int(200))
  if (data.chance(0.2)) return values.toSpliced(index, 1)
  return values.with(index, mutateJson(chosen, data))
}

/** Copies of copies would be more than a broker takes: all of them together are bounded. */
function repeated(value: Json, times: number): Json {
  const timesMax = Math.ceil(repeatedBytesMax / JSON.stringify(value).length)
  return Array.from({ length: Math.min(times, timesMax) }, () => value)
}

function replacement(data: FuzzData): Json {
  if (data.chance(0.9)) return data.json(2)
  return nested(1 + data.int(2000))
}

/** Arrays in arrays: what a parser that calls itself would end at. */
function nested(depth: number): Json {
  let value: Json = []
  for (let level = 0; level < depth; level += 1) value = [value]
  return value
}

/** Text as it may arrive: whole, cut off, with a byte that does not belong, something behind it, or nothing of it left. */
export function mutateText(text: string, data: FuzzData): Buffer {
  const bytes = Buffer.from(text)
  if (data.chance(0.85) || bytes.length === 0) return bytes
  const at = data.int(bytes.length)
  switch (data.int(4)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      bytes[at] = data.int(256)
      return bytes
    case 2:
      return Buffer.concat([bytes, data.bytes(1 + data.int(20))])
    default:
      return data.bytes(data.int(200))
  }
}
