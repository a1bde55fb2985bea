import { isPartitionMissing } from '@edp/idempotency'
import {
  AppError,
  classify,
  counter,
  type Database,
  type FailureClass,
  faultPoint,
  fullJitter,
  histogram,
  type Logger,
  sleep,
} from '@edp/runtime'
import { applyBatch } from './apply-batch.ts'
import type { AllChanged, Consumer, Tables } from './handler.ts'
import { type IncomingMessage, type PositionedMessage, readBatch } from './read-message.ts'

/** Applies batches of messages, each message's effect exactly once. */
export interface Pipeline {
  /** @throws when the database does not answer: then nothing should be fetched yet */
  ready(): Promise<void>
  /**
   * Resolves when the effects of every message are committed; only then may it be acknowledged. Duplicates, and types that
   * the consumer does not handle, count as done. `signal` ends it between two transactions, as if nothing could be handled.
   * @throws AppError `transient-everything` when nothing can be handled now: hand the same batch in again later
   * @throws AppError `permanent` when a message can never be handled: the consumer must stop, loudly. Every other message
   * of the batch was handled, and is skipped as a duplicate when it comes again.
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
  /** How often a message that fails alone is tried before it stops the consumer; default 3. */
  attemptsMax?: number
  /** How far back the inbox remembers messages, as its upkeep is told; default 8. Older ones are refused. */
  inboxRetentionDays?: number
}

const retryBackoff = { baseMs: 50, capMs: 1000 }

const handled = counter('edp_consumer_messages_total', 'Messages by what became of them', [
  'consumer',
  'result',
])
const batchSeconds = histogram('edp_consumer_batch_seconds', 'From taking a batch to its commit', [
  'consumer',
])

/** Builds the pipeline of one consumer. The batch is the unit: one transaction, three round trips. */
export function createPipeline<T extends Tables>(options: PipelineOptions<T>): Pipeline {
  const { consumer, database, logger, inboxRetentionDays = 8 } = options
  return {
    ready: () => database.ping(),
    handle: async (batch, signal) => {
      const stop = batchSeconds.startTimer({ consumer: consumer.name })
      const reading = readBatch(batch, { consumer, now: nowOf(options), inboxRetentionDays })
      const failures = [...reading.failures, ...(await runAll(options, reading.messages, signal))]
      stop()
      count(consumer, 'skipped', reading.skipped)
      count(consumer, 'failed', failures.length)
      for (const failure of failures) logger.error({ err: failure }, 'message cannot be handled')
      if (failures[0]) throw failures[0]
    },
  }
}

/** Everything at once, else one by one, so that only the broken ones fail: what they failed with. */
async function runAll<T extends Tables>(
  options: PipelineOptions<T>,
  messages: readonly PositionedMessage<T>[],
  signal: AbortSignal | undefined,
): Promise<AppError[]> {
  if (messages.length === 0) return []
  try {
    await run(options, messages)
    return []
  } catch (error) {
    if (failureOf(error) === 'transient-everything') throw asPause(error)
    options.logger.warn({ err: error, messages: messages.length }, 'batch failed, going one by one')
  }
  const failures: AppError[] = []
  for (const message of messages) {
    const failure = await runAlone(options, message, signal)
    if (failure) failures.push(failure)
  }
  return failures
}

async function runAlone<T extends Tables>(
  options: PipelineOptions<T>,
  message: PositionedMessage<T>,
  signal: AbortSignal | undefined,
): Promise<AppError | undefined> {
  const { logger, attemptsMax = 3 } = options
  for (let attempt = 1; ; attempt += 1) {
    if (signal?.aborted) throw asPause(signal.reason)
    try {
      await run(options, [message])
      return undefined
    } catch (error) {
      const failure = failureOf(error)
      if (failure === 'transient-everything') throw asPause(error)
      if (failure === 'permanent' || attempt >= attemptsMax) return asFailed(message, error)
      logger.warn({ err: error, attempt, position: message.position }, 'message failed')
      await sleep(fullJitter({ attempt, ...retryBackoff }))
    }
  }
}

async function run<T extends Tables>(
  options: PipelineOptions<T>,
  messages: readonly PositionedMessage<T>[],
): Promise<void> {
  const { consumer, source, namespace, database } = options
  const now = nowOf(options)
  const result = await database.transaction((tx) =>
    applyBatch(tx, { consumer, source, namespace, now }, messages),
  )
  // What counts and what wakes others is known only after the commit.
  count(consumer, 'applied', result.fresh)
  count(consumer, 'duplicate', messages.length - result.fresh)
  if (result.changed) notify(options, result.changed)
  await faultPoint('pipeline.after-commit')
}

/** The messages are committed: whatever the callback does must not make them look as if they were not. */
function notify<T extends Tables>(options: PipelineOptions<T>, changed: AllChanged<T>): void {
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

function failureOf(error: unknown): FailureClass {
  return isPartitionMissing(error) ? 'transient-everything' : classify(error)
}

function asPause(error: unknown): AppError {
  return new AppError('paused', 'nothing can be handled now', {
    retry: 'transient-everything',
    cause: error,
  })
}

function asFailed<T extends Tables>(
  { message: { envelope }, position }: PositionedMessage<T>,
  error: unknown,
): AppError {
  const reason = error instanceof Error ? error.message : String(error)
  const what = `${envelope.type} ${envelope.id} at ${position}`
  return new AppError('message-failed', `cannot handle ${what}: ${reason}`, {
    retry: 'permanent',
    cause: error,
  })
}
