import pg from 'pg'
import { z } from 'zod'
import type { System } from '../system.ts'
import { idOf, readingOf, typeNameOf } from './as-read.ts'
import { type FuzzMessage, tagHeader } from './fuzz-message.ts'
import { type ConsumerView, deadLetters } from './ways-in.ts'

/** How often what became of the messages, by consumer: `order-service.kafka dead: poison`. */
export type Fates = Map<string, number>

/** A message of which a consumer has lost track. */
export interface Unaccounted {
  readonly message: FuzzMessage
  readonly consumer: ConsumerView
  readonly reading: string
}

/** What is known of messages: the letters of dlq-alerter, and what each consumer has parked and remembers. */
export interface Traces {
  /** Letters, by consumer and tag: of what they died. */
  readonly letters: ReadonlyMap<string, string>
  /** Message ids of letters: the second copy of a dead message has no letter of its own. */
  readonly letterIds: ReadonlySet<string>
  /** Messages that wait to be tried again, by consumer and tag. */
  readonly parked: ReadonlyMap<string, string>
  /** What the inbox knows, by consumer and id. */
  readonly inbox: ReadonlySet<string>
}

const letterRows = z.array(
  z.object({
    consumer: z.string(),
    message_id: z.string(),
    cause: z.string(),
    tag: z.string().nullable(),
  }),
)
const parkedRows = z.array(
  z.object({ consumer: z.string(), cause: z.string(), tag: z.string().nullable() }),
)
const inboxRows = z.array(z.object({ consumer: z.string(), message_id: z.string() }))

// As text: Postgres cannot take JSON apart that has a NUL somewhere.
const tagOf = `substring(headers::text from '"${tagHeader}": ?"(\\d+)"') as tag`

/** Reads what the system says of messages that were sent after `since`, a time of the database's clock. */
export async function readTraces(
  { databases, deadLettersDatabase, notificationsDatabase }: System,
  since: Date,
  messages: readonly FuzzMessage[],
): Promise<Traces> {
  const named = messages.flatMap((message) => [idOf(message), letterIdOf(message)])
  const ids = named.filter((id) => z.uuid().safeParse(id).success)
  const letters = new Map<string, string>()
  const letterIds = new Set<string>()
  const parked = new Map<string, string>()
  const inbox = new Set<string>()
  const readInbox = async (client: pg.Client): Promise<void> => {
    const text = 'select consumer, message_id from inbox where message_id = any($1::uuid[])'
    for (const row of inboxRows.parse((await client.query(text, [ids])).rows)) {
      inbox.add(`${row.consumer} ${row.message_id}`)
    }
  }
  await withClient(deadLettersDatabase, async (client) => {
    await readInbox(client)
    const text = `select consumer, message_id, reason || ': ' || error_code as cause, ${tagOf} from letters
      where ingested_at >= $1 or message_id = any($2::uuid[])`
    for (const row of letterRows.parse((await client.query(text, [since, ids])).rows)) {
      if (row.tag !== null) letters.set(`${row.consumer} ${row.tag}`, row.cause)
      // Of what RabbitMQ gave up the consumer is the one whose queue it was.
      if (row.tag !== null) letters.set(row.tag, row.cause)
      letterIds.add(row.message_id)
    }
  })
  const { orders, inventory, payments, statistics } = databases
  for (const url of [orders, inventory, payments, statistics, notificationsDatabase]) {
    await withClient(url, async (client) => {
      await readInbox(client)
      const text = `select consumer, coalesce(reason || ': ' || error_code, 'for its first try') as cause, ${tagOf} from parked_message
        where status = 'retrying' and parked_at >= $1`
      for (const row of parkedRows.parse((await client.query(text, [since])).rows)) {
        if (row.tag !== null) parked.set(`${row.consumer} ${row.tag}`, row.cause)
      }
    })
  }
  return { letters, letterIds, parked, inbox }
}

async function withClient(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

/** How often each id was sent to each topic or queue; kept over all rounds, since the second one is a duplicate. */
export class SentIds {
  readonly #times = new Map<string, number>()

  add(messages: readonly FuzzMessage[]): void {
    for (const message of messages) {
      const key = keyOf(message)
      if (key !== undefined) this.#times.set(key, (this.#times.get(key) ?? 0) + 1)
    }
  }

  isRepeated(message: FuzzMessage): boolean {
    const key = keyOf(message)
    return key !== undefined && (this.#times.get(key) ?? 0) > 1
  }
}

function keyOf(message: FuzzMessage): string | undefined {
  const id = idOf(message)
  // Both classes of a queue are one inbox.
  return id === undefined ? undefined : `${message.wayIn.name.replace(/\.express$/, '')} ${id}`
}

/** What became of every message at every consumer that reads it, and which of them nobody knows of. */
export function account(
  messages: readonly FuzzMessage[],
  traces: Traces,
  sent: SentIds,
): { fates: Fates; unaccounted: Unaccounted[] } {
  const fates: Fates = new Map()
  const unaccounted: Unaccounted[] = []
  for (const message of messages) {
    for (const consumer of message.wayIn.consumers) {
      const reading = readingOf(message, consumer)
      const fate = fateOf(message, consumer, { traces, sent, reading })
      if (fate === undefined) unaccounted.push({ message, consumer, reading })
      else {
        const name = `${consumer.name} ${fate}`
        fates.set(name, (fates.get(name) ?? 0) + 1)
      }
    }
  }
  return { fates, unaccounted }
}

interface Known {
  readonly traces: Traces
  readonly sent: SentIds
  readonly reading: ReturnType<typeof readingOf>
}

function fateOf(
  message: FuzzMessage,
  consumer: ConsumerView,
  { traces, sent, reading }: Known,
): string | undefined {
  const name = `${consumer.name} ${message.tag}`
  const id = idOf(message)
  const isOfDeadLetters = message.wayIn === deadLetters
  const cause = traces.letters.get(isOfDeadLetters ? String(message.tag) : name)
  if (cause !== undefined) return `dead: ${cause}`
  if (isOfDeadLetters) {
    return id !== undefined && traces.letterIds.has(id) ? 'duplicate' : undefined
  }
  const waits = traces.parked.get(name)
  if (waits !== undefined) return `waits: ${waits}`
  const isKnown = id !== undefined && traces.inbox.has(`${consumer.name} ${id}`)
  if (isKnown && reading === 'taken') return 'applied'
  if (isKnown && sent.isRepeated(message)) return 'duplicate'
  if (reading === 'skipped') return 'skipped'
  return reading === 'taken' && isJudgedByItsLetter(message, consumer, traces)
    ? 'judged by its letter'
    : undefined
}

/** What is said of a letter longer ago than an inbox remembers makes or changes that letter, and leaves no other trace. */
function isJudgedByItsLetter(
  message: FuzzMessage,
  { name }: ConsumerView,
  { letterIds }: Traces,
): boolean {
  if (name !== 'dlq-alerter.kafka') return false
  if (typeNameOf(message) !== 'message.dead-lettered') return true
  const letterId = letterIdOf(message)
  return letterId !== undefined && letterIds.has(letterId)
}

/** Which dead message a message speaks of. */
function letterIdOf({ body, wayIn }: FuzzMessage): string | undefined {
  if (wayIn.name !== 'dead-letters') return undefined
  try {
    const read = spokenOf.safeParse(JSON.parse(body?.toString('utf8') ?? ''))
    return read.success ? read.data.messageId.toLowerCase() : undefined
  } catch {
    return undefined
  }
}

const spokenOf = z.object({ messageId: z.string() })
