import { AppError, counter, type Database, faultPoint, histogram, type Logger } from '@edp/runtime'
import { applyAllNew, applyBatch, type BatchResult } from './apply-batch.ts'
import { type ConsumerRuns, killsMax } from './consumer-runs.ts'
import { type Failure, failureOf, processKilled } from './failure.ts'
import type { AllChanged, Consumer, Tables } from './handler.ts'
import type { IncomingMessage } from './incoming-message.ts'
import type { ParkedCounts } from './park.ts'
import { readBatch, type TakenMessage } from './read-message.ts'
import { groupsOf, killsOf } from './suspects.ts'

/** Applies batches of messages, each message's effect exactly once. */
export interface Pipeline {
  /** @throws when the database does not answer: then nothing should be fetched yet */
  ready(): Promise<void>
  /**
   * Resolves when every message is committed as applied or as parked; only then may it be acknowledged. Duplicates, and facts that
   * the consumer does not handle, count as done. `signal` ends it between two transactions, as if nothing could be handled.
   * @throws AppError `transient-everything` when nothing can be handled now: hand the same batch in again later
   */
  handle(batch: readonly IncomingMessage[], signal?: AbortSignal): Promise<void>
}

export interface PipelineOptions<T extends Tables> {
  consumer: Consumer<T>
  database: Pick<Database, 'transaction' | 'ping'>
  /** The service: `source` of what it sends. */
  source: string
  namespace: string
  logger: Logger
  now?: () => Date
  /** How far back the inbox remembers messages, as its upkeep is told; default 8. Older ones are dead. */
  inboxRetentionDays?: number
  /** A longer body is not parsed, the message is dead; default 1 MiB. */
  payloadBytesMax?: number
  /** Told after the commit that messages were parked. */
  onParked?: () => void
  /** Finds the message that kills a process; without it none is looked for. */
  runs?: ConsumerRuns
}

export const payloadBytesMaxDefault = 1024 * 1024

const handled = counter('edp_consumer_messages_total', 'Messages by what became of them', [
  'consumer',
  'result',
])
const batchSeconds = histogram('edp_consumer_batch_seconds', 'From taking a batch to its commit', [
  'consumer',
])

/** A pipeline at work. */
interface Running<T extends Tables> extends PipelineOptions<T> {
  /** Whether all messages of the batch before were handled: then those of the next one are expected to be. */
  readonly last: { isAllNew: boolean }
}

/** Builds the pipeline of one consumer. The batch is the unit: one transaction, two round trips when all its messages are new. */
export function createPipeline<T extends Tables>(options: PipelineOptions<T>): Pipeline {
  const { consumer, database, inboxRetentionDays = 8 } = options
  const { payloadBytesMax = payloadBytesMaxDefault } = options
  const running: Running<T> = { ...options, last: { isAllNew: true } }
  return {
    ready: async () => {
      await database.ping()
      await options.runs?.ready()
    },
    handle: async (batch, signal) => {
      const stop = batchSeconds.startTimer({ consumer: consumer.name })
      const now = nowOf(options)
      const reading = { consumer, now, inboxRetentionDays, payloadBytesMax }
      const { messages, skipped } = readBatch(batch, reading)
      await runBatch(running, messages, signal)
      stop()
      count(consumer, 'skipped', skipped)
    },
  }
}

async function runBatch<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { runs } = options
  if (messages.length === 0) return
  if (runs === undefined) return runAll(options, messages, signal)
  if (runs.isCautious) return runMarked({ ...options, runs }, messages, signal)
  return runs.together(() => runAll(options, messages, signal))
}

/** At once too, unless a process was killed over some of them; each group marked before. */
async function runMarked<T extends Tables>(
  options: Running<T> & { runs: ConsumerRuns },
  messages: readonly TakenMessage<T>[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { runs, consumer } = options
  const messageIds = messages.map(({ inboxId }) => inboxId)
  let groups: TakenMessage<T>[][] = []
  try {
    await runs.marked({ consumer: consumer.name, messageIds }, async (marks) => {
      const split = groupsOf(messages, marks, ({ inboxId }) => inboxId)
      if (split.length > 1) {
        groups = split
        return
      }
      await runGroup(options, messages, { kills: killsOf(messageIds, marks), signal })
    })
  } catch (error) {
    throw asPause(error)
  }
  for (const group of groups) {
    if (signal?.aborted) throw asPause(signal.reason)
    await runMarked(options, group, signal)
  }
}

/** `kills`: how many processes were killed over it, which only one of a single message is charged with. */
async function runGroup<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
  { kills, signal }: { kills: number; signal: AbortSignal | undefined },
): Promise<void> {
  if (kills < killsMax) return runAll(options, messages, signal)
  const failure = failureOf(processKilled(kills))
  for (const message of messages) await runFailed(options, message, failure)
}

/** Everything at once, else one by one, so that only the broken ones are parked. */
async function runAll<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await run(options, messages)
    return
  } catch (error) {
    if (failureOf(error).class === 'transient-everything') throw asPause(error)
    options.logger.warn({ err: error, messages: messages.length }, 'batch failed, going one by one')
  }
  for (const message of messages) {
    if (signal?.aborted) throw asPause(signal.reason)
    await runAlone(options, message)
  }
}

async function runAlone<T extends Tables>(
  options: Running<T>,
  message: TakenMessage<T>,
): Promise<void> {
  try {
    await run(options, [message])
  } catch (error) {
    const failure = failureOf(error)
    if (failure.class === 'transient-everything') throw asPause(error)
    const { position } = message.incoming
    options.logger.warn({ err: error, position }, 'message failed, it is parked')
    await runFailed(options, message, failure)
  }
}

/** Parks a message that failed alone, unless somebody else has applied it meanwhile. */
async function runFailed<T extends Tables>(
  options: Running<T>,
  { incoming, inboxId, key }: TakenMessage<T>,
  failure: Failure,
): Promise<void> {
  try {
    await run(options, [{ incoming, inboxId, key, failure }])
  } catch (error) {
    // Whatever it is, the message is neither applied nor parked, so it stays with the broker.
    throw asPause(error)
  }
}

async function run<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
): Promise<void> {
  const result = await apply(options, messages)
  // What counts and what wakes others is known only after the commit.
  note(options, messages, result)
  await faultPoint('pipeline.after-commit')
}

async function apply<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
): Promise<BatchResult<T>> {
  const { consumer, source, namespace, database, last } = options
  const to = { consumer, source, namespace, now: nowOf(options) }
  if (last.isAllNew && messages.every(({ failure }) => failure === undefined)) {
    try {
      return await database.transaction((tx) => applyAllNew(tx, to, messages))
    } catch (error) {
      // Rolled back: nothing is done yet. Whatever it was, it may concern a message that is not to be handled at all.
      if (failureOf(error).class === 'transient-everything') throw error
    }
  }
  const result = await database.transaction((tx) => applyBatch(tx, to, messages))
  last.isAllNew = result.applied === messages.length
  return result
}

function note<T extends Tables>(
  options: Running<T>,
  messages: readonly TakenMessage<T>[],
  { applied, duplicate, parked, changed }: BatchResult<T>,
): void {
  const { consumer } = options
  count(consumer, 'applied', applied)
  count(consumer, 'duplicate', duplicate)
  if (changed) notify(options, changed)
  const isAnyParked = countParked(consumer, parked)
  if (!isAnyParked) return
  logParked(options, messages)
  options.onParked?.()
}

function countParked(consumer: { readonly name: string }, parked: ParkedCounts): boolean {
  const { retrying, waiting, dead } = parked
  count(consumer, 'retrying', retrying)
  count(consumer, 'waiting', waiting)
  count(consumer, 'dead', dead)
  return retrying + waiting + dead > 0
}

/** Those that could not be read; what failed otherwise was logged when it did. */
function logParked<T extends Tables>(
  { logger }: PipelineOptions<T>,
  messages: readonly TakenMessage<T>[],
): void {
  for (const { failure, incoming } of messages) {
    if (failure === undefined) continue
    const { code, message } = failure
    logger.error({ position: incoming.position, code, reason: message }, 'message is parked')
  }
}

/** The messages are committed: whatever the callback does must not make them look as if they were not. */
function notify<T extends Tables>(options: Running<T>, changed: AllChanged<T>): void {
  try {
    options.consumer.afterCommit(changed)
  } catch (error) {
    options.logger.error({ err: error }, 'afterCommit failed')
  }
}

function count(consumer: { readonly name: string }, result: string, messages: number): void {
  if (messages > 0) handled.inc({ consumer: consumer.name, result }, messages)
}

function nowOf({ now }: { now?: () => Date }): Date {
  return now?.() ?? new Date()
}

function asPause(error: unknown): AppError {
  if (error instanceof AppError && error.code === 'paused') return error
  return new AppError('paused', 'nothing can be handled now', {
    retry: 'transient-everything',
    cause: error,
  })
}
