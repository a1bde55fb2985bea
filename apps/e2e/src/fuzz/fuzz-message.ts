import { headerPrefix } from '@edp/event-schemas'
import { z } from 'zod'
import type { Example } from './examples.ts'
import type { FuzzData, Json } from './fuzz-data.ts'
import { mutateJson, mutateText } from './mutations.ts'
import type { WayIn } from './ways-in.ts'

/** A header as it is sent: Kafka takes text, bytes, and several of a name; RabbitMQ anything that JSON knows. */
export type SentHeader = Json | Buffer

/** A message that nobody means, as it is sent. */
export interface FuzzMessage {
  /** Its number, which it carries in the header `fuzz`, so that what became of it can be found. */
  readonly tag: number
  readonly wayIn: WayIn
  readonly key: string | null
  readonly headers: Readonly<Record<string, SentHeader>>
  /** Null: Kafka's tombstone. */
  readonly body: Buffer | null
}

/** The header that carries a message's number. It is never mutated. */
export const tagHeader = 'fuzz'

export interface MessageContext {
  readonly data: FuzzData
  readonly examples: readonly Example[]
  readonly namespace: string
  /** Ids of earlier messages of this way in. The new one's is added. */
  readonly usedIds: string[]
  /** Orders that nobody placed, which several messages speak of. */
  readonly subjects: readonly [string, ...string[]]
}

const headerTextMax = 4000
/** More than a consumer takes, and as much as an ordinary topic does. */
const oversizeBytes = 1_100_000
const topicBytes = 900_000

/** A message for a topic or queue: noise, a valid one with something changed, or now and then one that is as it should be. */
export function fuzzMessage(wayIn: WayIn, tag: number, context: MessageContext): FuzzMessage {
  const { data, examples } = context
  const [first, ...others] = examples
  const example =
    first === undefined ? undefined : fresh(data.pick([first, ...others]), wayIn, context)
  const isNoise = example === undefined || data.chance(0.08)
  const headers = isNoise ? {} : headersOf(example.headers, wayIn, context)
  const body =
    example === undefined || data.chance(0.08) ? noise(data, wayIn) : bodyOf(example.body, data)
  const id = headers[`${headerPrefix[wayIn.transport]}id`]
  if (typeof id === 'string') context.usedIds.push(id)
  return {
    tag,
    wayIn,
    key: data.chance(0.1) ? null : data.text().slice(0, 1000),
    // First, since a letter carries only so many headers.
    headers: { [tagHeader]: String(tag), ...headers },
    body: wayIn.transport === 'kafka' && data.chance(0.02) ? null : body,
  }
}

const renewed = z.tuple([z.record(z.string(), z.string()), z.json()])

/** The example with ids of this moment, so that it is neither old nor known: mostly about an order of its own. */
function fresh(example: Example, wayIn: WayIn, context: MessageContext): Example {
  const { data, subjects } = context
  // What is confirmed is shipped: it must not be what another message has reserved, since nobody ordered it.
  const isAlone = example.contract.name === 'order.confirmed' || data.chance(0.7)
  const subject = isAlone ? data.uuidV7() : data.pick(subjects)
  const ids = new Map<string, string>()
  const renew = (id: string): string => {
    const known = ids.get(id)
    if (known !== undefined) return known
    const other = id.endsWith('c0de') ? subject : data.uuidV7()
    ids.set(id, other)
    return other
  }
  const text = JSON.stringify([example.headers, example.body]).replaceAll(
    /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g,
    renew,
  )
  const [headers, body] = renewed.parse(JSON.parse(text))
  return { ...example, headers, body: addressed(body, wayIn, data) }
}

/** A redrive names mostly a consumer of the service whose queue it is in. */
function addressed(body: Json, { exchange, name }: WayIn, data: FuzzData): Json {
  const isRedrive = exchange === 'redrive' && data.chance(0.7)
  if (!isRedrive || typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const consumers = ['kafka', 'rabbitmq', 'redrive', 'due-work'] as const
  return { ...body, consumer: name.replace(/redrive$/, data.pick(consumers)) }
}

function noise(data: FuzzData, { transport, name }: WayIn): Buffer {
  const isBounded = transport === 'kafka' && name !== 'dead-letters'
  if (data.chance(0.05)) return Buffer.alloc(isBounded ? topicBytes : oversizeBytes, '[')
  if (data.chance(0.1)) return Buffer.from('{"a":'.repeat(50_000))
  return data.chance(0.5) ? data.bytes(data.int(2000)) : Buffer.from(JSON.stringify(data.json()))
}

function bodyOf(valid: Json, data: FuzzData): Buffer {
  let value = valid
  while (data.chance(0.4)) value = mutateJson(value, data)
  return data.chance(0.8)
    ? Buffer.from(JSON.stringify(value))
    : mutateText(JSON.stringify(value), data)
}

function headersOf(
  valid: Readonly<Record<string, string>>,
  wayIn: WayIn,
  context: MessageContext,
): Record<string, SentHeader> {
  const { data, usedIds, namespace } = context
  const prefix = headerPrefix[wayIn.transport]
  let headers: Record<string, SentHeader> = { ...valid }
  if (wayIn.exchange === 'dlx' && data.chance(0.8)) headers['x-death'] = death(namespace, data)
  const [used, ...more] = usedIds
  if (used !== undefined && data.chance(0.05)) headers[`${prefix}id`] = data.pick([used, ...more])
  if (data.chance(0.05)) headers[`${prefix}id`] = oddId(data)
  if (data.chance(0.08)) headers[`${prefix}type`] = oddType(String(valid[`${prefix}type`]), data)
  if (data.chance(0.04)) headers[`${prefix}time`] = data.pick(oddTimes)
  while (data.chance(0.2)) headers = mutateHeaders(headers, wayIn, data)
  return headers
}

const oddTimes = [
  '0000-01-01T00:00:00Z',
  '9999-12-31T23:59:59.999Z',
  '2026-02-30T00:00:00Z',
  '2026-01-01',
  '2026-01-01T00:00:00+99:99',
  'yesterday',
] as const

function oddId(data: FuzzData): string {
  const id = data.uuidV7()
  return data.pick([
    id.toUpperCase(),
    `00000000-0000-${id.slice(14)}`,
    `ffffffff-ffff-${id.slice(14)}`,
    `01800000-0000-${id.slice(14)}`,
    `${id.slice(0, 14)}4${id.slice(15)}`,
    id.replaceAll('-', ''),
    `${id}\0`,
    '',
  ])
}

function oddType(type: string, data: FuzzData): string {
  const name = type.replace(/\.v\d+$/, '')
  return data.pick([
    `${name}.v2`,
    `${name}.v0`,
    `${name}.v99999999999999999999`,
    `${name}.v1x`,
    name,
    'order.exploded.v1',
    '__proto__.v1',
    type.toUpperCase(),
    `${type}\0`,
  ])
}

/** One header left out, put in, renamed, or of another value. */
function mutateHeaders(
  headers: Record<string, SentHeader>,
  wayIn: WayIn,
  data: FuzzData,
): Record<string, SentHeader> {
  const names = Object.keys(headers)
  const name = names[data.int(names.length)]
  const added = data.text().slice(0, 60).toWellFormed() || 'empty'
  if (name === undefined || data.chance(0.2))
    return { ...headers, [added]: headerValue(wayIn, data) }
  const { [name]: chosen = null, ...others } = headers
  if (data.chance(0.3)) return others
  if (data.chance(0.1)) return { ...others, [`${name}${added}`]: chosen }
  return { ...others, [name]: headerValue(wayIn, data) }
}

function headerValue({ transport }: WayIn, data: FuzzData): SentHeader {
  const text = data.text().slice(0, headerTextMax)
  if (data.chance(0.6)) return text
  if (data.chance(0.3)) return data.bytes(data.int(100))
  const leaf = data.pick([null, true, data.number(), text])
  if (transport === 'rabbitmq') return data.chance(0.5) ? leaf : [leaf, text]
  // Kafka knows bytes alone, and several headers of one name.
  return data.chance(0.5) ? [text, String(leaf)] : ''
}

const deadQueues = [
  'inventory.commands',
  'order.saga-replies',
  'payment-service.redrive',
  'x',
] as const

/** What RabbitMQ says of a message that it gave up, mostly as it says it. */
function death(namespace: string, data: FuzzData): Json {
  const queue = data.pick(deadQueues)
  const entry = {
    queue: `${namespace}.${queue}`,
    reason: data.pick(['delivery_limit', 'expired', 'rejected', 'maxlen']),
    count: data.pick([1, 3, 1000, 0, -1]),
    exchange: '',
    time: { '!': 'timestamp', value: data.pick([Math.floor(Date.now() / 1000), 0, 4_000_000_000]) },
  }
  return data.chance(0.8) ? [entry] : mutateJson([entry], data)
}
