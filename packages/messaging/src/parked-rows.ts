import { createHash } from 'node:crypto'
import type { DeadLetterReason } from '@edp/event-schemas'
import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { definedHeaders } from './dead-letter.ts'
import type { Failure } from './failure.ts'
import { attributeOf, type IncomingMessage } from './incoming-message.ts'
import { storableText } from './storable-text.ts'

/** A message that is to be parked. */
export interface NewParked {
  readonly consumer: string
  readonly messageId: string
  /** What orders it; undefined when it may hold back no other message. */
  readonly key: string | undefined
  readonly incoming: IncomingMessage
  readonly status: 'retrying' | 'waiting' | 'dead'
  readonly attempts: number
  readonly delayMs: number
  /** Undefined for one that only waits. */
  readonly failed?: ParkedFailure
  readonly deadLetteredAt?: Date
  readonly redriveId?: string
}

/** What a parked message failed with, the last time. */
export interface ParkedFailure {
  readonly reason: DeadLetterReason
  readonly failure: Pick<Failure, 'code' | 'message' | 'stack'>
  readonly firstFailedAt: Date
  readonly lastFailedAt: Date
}

const insert = statement(
  'parked_insert',
  noRow,
  `insert into parked_message (consumer, message_id, key, type, transport, position, headers, body, status, attempts,
     next_attempt_at, reason, error_code, error_message, error_stack, first_failed_at, last_failed_at, dead_lettered_at,
     redrive_id)
   select consumer, message_id, key, type, transport, position, headers, body, status, attempts,
     now() + delay_ms * interval '1 millisecond', reason, error_code, error_message, error_stack, first_failed_at,
     last_failed_at, dead_lettered_at, redrive_id
   from unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::json[], $8::bytea[], $9::text[],
     $10::integer[], $11::float8[], $12::text[], $13::text[], $14::text[], $15::text[], $16::timestamptz[],
     $17::timestamptz[], $18::timestamptz[], $19::uuid[])
     with ordinality as m (consumer, message_id, key, type, transport, position, headers, body, status, attempts, delay_ms,
       reason, error_code, error_message, error_stack, first_failed_at, last_failed_at, dead_lettered_at, redrive_id, place)
   order by place
   on conflict (consumer, message_id) do nothing`,
)

/** Parks messages, in their order. Whoever parks one has claimed its inbox row in this transaction. */
export function insertParked(tx: Tx, messages: readonly NewParked[]): void {
  const failures = messages.map(({ failed }) => failed)
  void tx.execute(insert, [
    messages.map(({ consumer }) => consumer),
    messages.map(({ messageId }) => messageId),
    messages.map(parkedKey),
    messages.map(({ incoming }) => storableOrNull(attributeOf(incoming, 'type'))),
    messages.map(({ incoming }) => incoming.transport),
    messages.map(({ incoming }) => storableText(incoming.position)),
    messages.map(({ incoming }) => JSON.stringify(definedHeaders(incoming.headers))),
    messages.map(({ incoming }) => incoming.body),
    messages.map(({ status }) => status),
    messages.map(({ attempts }) => attempts),
    messages.map(({ delayMs }) => delayMs),
    failures.map((failed) => failed?.reason ?? null),
    failures.map((failed) => failed?.failure.code ?? null),
    failures.map((failed) => failed?.failure.message ?? null),
    failures.map((failed) => failed?.failure.stack ?? null),
    failures.map((failed) => failed?.firstFailedAt ?? null),
    failures.map((failed) => failed?.lastFailedAt ?? null),
    messages.map(({ deadLetteredAt }) => deadLetteredAt ?? null),
    messages.map(({ redriveId }) => redriveId ?? null),
  ])
}

function storableOrNull(text: string | undefined): string | null {
  return text === undefined ? null : storableText(text)
}

/** An index takes no more than 2,700 bytes of a key, and a producer may send any. */
const keyLengthMax = 200

/** The key as it is stored: its hash when it is too long, since a part of it could end within a character. */
export function storedKey(key: string): string {
  if (key.length <= keyLengthMax) return storableText(key)
  return createHash('sha256').update(key).digest('hex')
}

function parkedKey({ key, messageId }: NewParked): string {
  return key === undefined ? messageId : storedKey(key)
}

const heldKeys = statement(
  'parked_held_keys',
  z.object({ key: z.string() }),
  'select distinct key from parked_message where consumer = $1 and key = any ($2::text[])',
)

/** Those of the keys, as they are stored, that a parked message of the consumer holds. */
export async function readHeldKeys(
  tx: Tx,
  consumer: string,
  keys: readonly string[],
): Promise<Set<string>> {
  if (keys.length === 0) return new Set()
  const rows = await tx.run(heldKeys, [consumer, keys])
  return new Set(rows.map(({ key }) => key))
}

const headRow = z.object({
  message_id: z.string(),
  key: z.string(),
  waiting: z.number(),
  dead_lettered: z.boolean(),
})

const heads = statement(
  'parked_heads',
  headRow,
  `select h.message_id, k.key, h.dead_lettered,
     (select count(*)::integer - 1 from parked_message p where p.consumer = $1 and p.key = k.key) as waiting
   from unnest($2::text[]) as k (key)
   cross join lateral (
     select message_id, dead_lettered_at is not null as dead_lettered from parked_message
     where consumer = $1 and key = k.key order by id limit 1
   ) h`,
)

/** The first parked message of a key. */
export interface Head {
  readonly messageId: string
  readonly key: string
  /** How many messages wait behind it. */
  readonly waiting: number
  /** Whether a dead letter has told of it. */
  readonly isDeadLettered: boolean
}

/** The heads of keys, as they are stored. */
export async function readHeads(
  tx: Tx,
  consumer: string,
  keys: readonly string[],
): Promise<Head[]> {
  const rows = await tx.run(heads, [consumer, keys])
  return rows.map(({ message_id: messageId, key, waiting, dead_lettered: isDeadLettered }) => ({
    messageId,
    key,
    waiting,
    isDeadLettered,
  }))
}
