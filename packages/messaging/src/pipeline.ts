import {
  type ComposedMessage,
  type Envelope,
  fromHeaders,
  parseType,
  type Transport,
  typeFromHeaders,
} from '@edp/event-schemas'
import { claim } from '@edp/idempotency'
import { enqueue } from '@edp/outbox'
import {
  AppError,
  classify,
  counter,
  type Database,
  histogram,
  type Logger,
  type Tx,
} from '@edp/runtime'
import { BatchRows, mergeKeys } from './batch-rows.ts'
import type { AllChanged, BoundMessage, Consumer, Tables } from './handler.ts'

/** A message as a broker delivered it. */
export interface IncomingMessage {
  readonly transport: Transport
  /** Where it lies, for logs and dead letters: `edp.order.events/3@1207`. */
  readonly position: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

/** Applies batches of messages, each message's effect exactly once. */
export interface Pipeline {
  /**
   * Resolves when the effects of every message are committed; only then may it be acknowledged. Duplicates, and types that
   * the consumer does not handle, count as done.
   * @throws AppError `transient-everything` when nothing can be handled now: hand the same batch in again later
   * @throws AppError `permanent` when a message can never be handled: the consumer must stop, loudly. What was
   * committed of the batch is skipped as a duplicate when it comes again.
   */
  handle(batch: readonly IncomingMessage[]): Promise<void>
}

export interface PipelineOptions<T extends Tables> {
  consumer: Consumer<T>
  database: Pick<Database, 'transaction'>
  /** The service: `source` of what it sends. */
  source: string
  namespace: string
  logger: Logger
  now?: () => Date
  /** How often a message that fails alone is tried before it stops the consumer; default 3. */
  attemptsMax?: number
}

const aDayMs = 24 * 60 * 60 * 1000

const handled = counter('edp_consumer_messages_total', 'Messages by what became of them', [
  'consumer',
  'result',
])
const batchSeconds = histogram('edp_consumer_batch_seconds', 'From taking a batch to its commit', [
  'consumer',
])

/** Builds the pipeline of one consumer. The batch is the unit: one transaction, three round trips. */
export function createPipeline<T extends Tables>(options: PipelineOptions<T>): Pipeline {
  const { consumer, logger } = options
  const attemptsMax = options.attemptsMax ?? 3

  const handle = async (batch: readonly IncomingMessage[]): Promise<void> => {
    const stop = batchSeconds.startTimer({ consumer: consumer.name })
    const messages = readBatch(consumer, batch, options.now?.() ?? new Date())
    if (messages.length === 0) return
    try {
      await runBatch(options, messages)
    } catch (error) {
      if (classify(error) === 'transient-everything') throw asPause(error)
      logger.warn({ err: error, messages: messages.length }, 'batch failed, going one by one')
      for (const message of messages) await handleAlone(message)
    }
    stop()
  }

  const handleAlone = async (message: BoundMessage<T>): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await runBatch(options, [message])
        return
      } catch (error) {
        const failure = classify(error)
        if (failure === 'transient-everything') throw asPause(error)
        if (failure === 'permanent' || attempt >= attemptsMax)
          throw asFailed(message.envelope, error)
        logger.warn({ err: error, attempt, messageId: message.envelope.id }, 'message failed')
      }
    }
  }

  return { handle }
}

async function runBatch<T extends Tables>(
  options: PipelineOptions<T>,
  messages: readonly BoundMessage<T>[],
): Promise<void> {
  const { consumer, database } = options
  const changed = await database.transaction((tx) => apply(options, tx, messages))
  if (changed) consumer.afterCommit(changed)
}

/** Steps 2 to 6 of a batch: inbox, load, decide, save, outbox. Undefined when all were duplicates. */
async function apply<T extends Tables>(
  options: PipelineOptions<T>,
  tx: Tx,
  messages: readonly BoundMessage<T>[],
): Promise<AllChanged<T> | undefined> {
  const { consumer, source, namespace } = options
  const fresh = await claimFresh(consumer.name, tx, messages)
  handled.inc({ consumer: consumer.name, result: 'duplicate' }, messages.length - fresh.length)
  if (fresh.length === 0) return undefined
  const rows = new BatchRows(
    consumer.store,
    await consumer.store.load(tx, mergeKeys(consumer.store, fresh)),
  )
  const now = options.now?.() ?? new Date()
  const sent: ComposedMessage[] = []
  for (const message of fresh) {
    const decision = message.decide(rows.rows, now)
    if (decision.changed) rows.apply(decision.changed)
    if (decision.messages) {
      const origin = originOf(message.envelope, { source, namespace, now })
      sent.push(...enqueue(tx, decision.messages, origin))
    }
  }
  const changed = rows.changed()
  await consumer.store.save(tx, changed, sent)
  handled.inc({ consumer: consumer.name, result: 'applied' }, fresh.length)
  return changed
}

function originOf<O extends object>(cause: Envelope, origin: O) {
  return {
    ...origin,
    coordination: cause.coordination,
    causationId: cause.id,
    ...(cause.traceparent !== undefined && { traceparent: cause.traceparent }),
  }
}

/** The messages that are new to the inbox; of two copies in one batch the first. */
async function claimFresh<T extends Tables>(
  consumerName: string,
  tx: Tx,
  messages: readonly BoundMessage<T>[],
): Promise<BoundMessage<T>[]> {
  const byId = new Map<string, BoundMessage<T>>()
  for (const message of messages) {
    if (!byId.has(message.envelope.id)) byId.set(message.envelope.id, message)
  }
  const claimed = await claim(tx, consumerName, [...byId.keys()])
  return [...byId.values()].filter((message) => claimed.has(message.envelope.id))
}

/**
 * Step 1: skips what the consumer does not handle, by header alone and before anything is parsed, and reads the rest.
 * @throws AppError `permanent` for a message that cannot be read
 */
function readBatch<T extends Tables>(
  consumer: Consumer<T>,
  batch: readonly IncomingMessage[],
  now: Date,
): BoundMessage<T>[] {
  const messages: BoundMessage<T>[] = []
  for (const incoming of batch) {
    const message = readMessage(consumer, incoming, now)
    if (message) messages.push(message)
  }
  handled.inc({ consumer: consumer.name, result: 'skipped' }, batch.length - messages.length)
  return messages
}

function readMessage<T extends Tables>(
  consumer: Consumer<T>,
  incoming: IncomingMessage,
  now: Date,
): BoundMessage<T> | undefined {
  const type = typeFromHeaders(incoming.transport, incoming.headers)
  if (type === undefined) throw poison(incoming, ['no type header'])
  const parsed = parseType(type)
  if (!parsed) throw poison(incoming, [`the type ${type} has no version such as .v1`])
  const entry = consumer.handlers.get(parsed.name)
  if (!entry) return undefined
  const reading = fromHeaders(incoming.transport, incoming.headers)
  if (!reading.ok) throw poison(incoming, reading.problems)
  const { envelope } = reading
  if (entry.coordination && entry.coordination !== envelope.coordination) return undefined
  if (timeOfUuidV7(envelope.id) > now.getTime() + aDayMs) {
    throw poison(incoming, [`the id ${envelope.id} was made more than a day from now`])
  }
  const binding = entry.bind(envelope, parseJson(incoming))
  if (!binding.ok) throw poison(incoming, binding.problems)
  return binding.bound
}

function parseJson(incoming: IncomingMessage): unknown {
  try {
    return JSON.parse(Buffer.from(incoming.body).toString('utf8'))
  } catch (error) {
    throw poison(incoming, [`the body is not JSON: ${String(error)}`])
  }
}

/** When a uuid v7 was made, in milliseconds since 1970: its first 48 bits. */
function timeOfUuidV7(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

function poison(incoming: IncomingMessage, problems: readonly string[]): AppError {
  return new AppError('poison', `cannot read ${incoming.position}: ${problems.join('; ')}`, {
    retry: 'permanent',
  })
}

function asPause(error: unknown): AppError {
  return new AppError('paused', 'nothing can be handled now', {
    retry: 'transient-everything',
    cause: error,
  })
}

function asFailed(cause: Envelope, error: unknown): AppError {
  const reason = error instanceof Error ? error.message : String(error)
  return new AppError('message-failed', `cannot handle ${cause.type} ${cause.id}: ${reason}`, {
    retry: 'permanent',
    cause: error,
  })
}
