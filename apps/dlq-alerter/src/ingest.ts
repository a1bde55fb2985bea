import { newId } from '@edp/event-schemas'
import { claim, isPartitionMissing } from '@edp/idempotency'
import type { IncomingMessage, Pipeline } from '@edp/messaging'
import {
  AppError,
  classify,
  counter,
  type Database,
  faultPoint,
  histogram,
  type Logger,
  type Tx,
} from '@edp/runtime'
import { type AuditEntry, record } from './db/audit.ts'
import { keepEarlyResolutions, takeEarlyResolutions } from './db/early-resolutions.ts'
import { type Identity, lockLettersOf } from './db/letters.ts'
import { endRedriveLetters } from './db/redrive-letters.ts'
import type { Fact } from './domain/fact.ts'
import { applyFacts, type BatchOutcome, type LetterEvent, nameOf } from './domain/letter-batch.ts'
import { rawLetter } from './raw-letter.ts'
import { readDeadMessage } from './read-dead-message.ts'
import { readFact, timeOf } from './read-fact.ts'
import { saveLetters } from './save-letters.ts'

/** What `createIngest` needs. */
export interface IngestOptions {
  /** `dlq-alerter.kafka`: the name in the inbox. */
  readonly consumer: string
  readonly namespace: string
  readonly database: Pick<Database, 'transaction' | 'ping'>
  readonly logger: Logger
  /** How far back the inbox remembers messages, as its upkeep is told. */
  readonly inboxRetentionDays: number
  /** Told after a commit that changed letters: how many, and how many of them a redrive had sent. It must not throw. */
  readonly onChange?: (changed: { readonly letters: number; readonly redriveEnds: number }) => void
  readonly now?: () => Date
}

const aDayMs = 24 * 60 * 60 * 1000

const handled = counter('edp_consumer_messages_total', 'Messages by what became of them', [
  'consumer',
  'result',
])
const batchSeconds = histogram('edp_consumer_batch_seconds', 'From taking a batch to its commit', [
  'consumer',
])
const died = counter('edp_dead_letters_total', 'Letters that were new, by their consumer', [
  'consumer',
  'reason',
])

/**
 * Takes dead letters in: a batch is one transaction, each fact is applied once, and it resolves after the commit. What cannot be read
 * is kept as it is, as a letter of this service that nobody takes back: dead letters never breed, and nothing that anybody
 * sends stops it.
 */
export function createIngest(options: IngestOptions): Pipeline {
  return {
    ready: () => options.database.ping(),
    handle: async (batch, signal) => {
      const stop = batchSeconds.startTimer({ consumer: options.consumer })
      await handle(options, batch, signal)
      stop()
    },
  }
}

async function handle(
  options: IngestOptions,
  batch: readonly IncomingMessage[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const now = options.now?.() ?? new Date()
  const facts = batch.map((incoming) => ({ incoming, fact: factOf(options, incoming, now) }))
  count(options, 'skipped', facts.filter(({ fact }) => fact === undefined).length)
  try {
    await run(options, { facts: facts.flatMap(({ fact }) => fact ?? []), now })
    return
  } catch (error) {
    if (isPause(error)) throw asPause(error)
    options.logger.error({ err: error, messages: batch.length }, 'batch failed, going one by one')
  }
  for (const { incoming, fact } of facts) {
    if (signal?.aborted) throw asPause(signal.reason)
    if (fact) await runAlone(options, { incoming, fact, now })
  }
}

/** A fact that cannot be stored is a message that cannot be read. */
async function runAlone(
  options: IngestOptions,
  { incoming, fact, now }: { incoming: IncomingMessage; fact: Fact; now: Date },
): Promise<void> {
  try {
    await run(options, { facts: [fact], now })
  } catch (error) {
    if (isPause(error)) throw asPause(error)
    options.logger.error({ err: error, position: incoming.position }, 'cannot store, kept raw')
    const raw = rawLetter(incoming, { reason: 'permanent', problems: [String(error)] }, now)
    await run(options, { facts: [raw], now }).catch((again: unknown) => {
      throw asPause(again)
    })
  }
}

function factOf(options: IngestOptions, incoming: IncomingMessage, now: Date): Fact | undefined {
  try {
    return readAny(options, incoming, now)
  } catch (error) {
    return unreadable(options, incoming, { reason: 'poison', problems: [String(error)], now })
  }
}

function readAny(options: IngestOptions, incoming: IncomingMessage, now: Date): Fact | undefined {
  if (incoming.transport === 'rabbitmq') {
    const dead = readDeadMessage(incoming, options.namespace)
    if (dead && dead.at.getTime() <= now.getTime() + aDayMs) return dead
    const problems = ['RabbitMQ does not say from which queue of ours it came']
    return unreadable(options, incoming, { reason: 'poison', problems, now })
  }
  const reading = readFact(incoming, now)
  switch (reading.kind) {
    case 'fact':
      return reading.fact
    case 'skipped':
      return undefined
    case 'unreadable':
      return unreadable(options, incoming, { ...reading, now })
  }
}

function unreadable(
  options: IngestOptions,
  incoming: IncomingMessage,
  why: Parameters<typeof rawLetter>[1] & { now: Date },
): Fact {
  count(options, 'unreadable', 1)
  options.logger.warn({ position: incoming.position, problems: why.problems }, 'kept raw')
  return rawLetter(incoming, why, why.now)
}

/** One transaction: claim, lock, decide, save. */
async function run(
  options: IngestOptions,
  { facts, now }: { facts: readonly Fact[]; now: Date },
): Promise<void> {
  if (facts.length === 0) return
  const result = await options.database.transaction(async (tx) => {
    const fresh = await claimFresh(tx, options, { facts, now })
    const outcome = await applyFresh(tx, fresh)
    await faultPoint('ingest.before-commit')
    return { fresh: fresh.length, outcome }
  })
  count(options, 'applied', result.fresh)
  count(options, 'duplicate', facts.length - result.fresh)
  for (const { before, after } of result.outcome.letters) {
    if (!before) died.inc({ consumer: after.consumer, reason: after.failure.reason })
  }
  const [letters, redriveEnds] = [result.outcome.letters.length, result.outcome.redriveEnds.length]
  if (letters > 0) options.onChange?.({ letters, redriveEnds })
  await faultPoint('ingest.after-commit')
}

/** The facts that were not applied before, in their order; of two copies the first. */
async function claimFresh(
  tx: Tx,
  { consumer, inboxRetentionDays }: IngestOptions,
  { facts, now }: { facts: readonly Fact[]; now: Date },
): Promise<Fact[]> {
  const oldest = (Math.floor(now.getTime() / aDayMs) - inboxRetentionDays) * aDayMs
  // One that is older than the inbox remembers is judged by its letter.
  const judged = facts.map((fact) => (isKnowable(fact, oldest) ? fact : { ...fact, id: null }))
  const ids = judged.flatMap(({ id }) => id ?? [])
  const claimed = await claim(tx, consumer, [...new Set(ids)])
  return judged.filter(({ id }) => id === null || claimed.delete(id))
}

function isKnowable({ id }: Fact, oldestMs: number): boolean {
  return id !== null && timeOf(id).getTime() >= oldestMs
}

async function applyFresh(tx: Tx, facts: readonly Fact[]): Promise<BatchOutcome> {
  if (facts.length === 0) return { letters: [], redriveEnds: [], early: [], events: [] }
  const [letters, early] = await Promise.all([
    lockLettersOf(tx, identitiesOf(facts)),
    takeEarlyResolutions(tx, identitiesOf(facts.filter(({ kind }) => kind === 'died'))),
  ])
  const outcome = applyFacts(facts, { letters, early }, newId)
  keepEarlyResolutions(tx, outcome.early)
  endRedriveLetters(tx, outcome.redriveEnds)
  record(tx, outcome.events.flatMap(historyOf))
  await saveLetters(tx, outcome.letters)
  return outcome
}

function identitiesOf(facts: readonly Fact[]): Identity[] {
  const identities = new Map<string, Identity>()
  for (const { consumer, messageId } of facts) {
    const identity = { consumer, messageId }
    identities.set(nameOf(identity), identity)
  }
  return [...identities.values()]
}

/** What is worth remembering of a fact that changed a letter: not how many wait behind it. */
function historyOf({ fact, letter }: LetterEvent): AuditEntry[] {
  const of = {
    by: fact.consumer,
    letterId: letter.letterId,
    groupId: letter.failure.groupId,
  }
  switch (fact.kind) {
    case 'died': {
      const { reason, errorCode, errorMessage, attempts } = fact.failure
      const after = { status: letter.state.status, reason, errorCode, errorMessage, attempts }
      return [{ ...of, ...redriveOf(fact), action: 'letter.failed-again', after }]
    }
    case 'resolved': {
      const after = { status: letter.state.status, outcome: fact.outcome }
      return [{ ...of, ...redriveOf(fact), action: 'letter.resolved', after }]
    }
    case 'waiting':
      return []
  }
}

function redriveOf({ redriveId }: { redriveId: string | null }): { redriveId?: string } {
  return redriveId === null ? {} : { redriveId }
}

function isPause(error: unknown): boolean {
  return isPartitionMissing(error) || classify(error) === 'transient-everything'
}

function asPause(error: unknown): AppError {
  return new AppError('paused', 'nothing can be taken in now', {
    retry: 'transient-everything',
    cause: error,
  })
}

function count({ consumer }: IngestOptions, result: string, messages: number): void {
  if (messages > 0) handled.inc({ consumer, result }, messages)
}
