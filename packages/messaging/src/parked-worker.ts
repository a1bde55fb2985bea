import { messageResolvedV1, outgoing } from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import {
  counter,
  createLoop,
  type Database,
  fullJitter,
  type Health,
  type Logger,
  type Loop,
  type Tx,
} from '@edp/runtime'
import { applyMessages, type ApplyOptions } from './apply-batch.ts'
import { deadLetter, originOfLetter } from './dead-letter.ts'
import { type ConsumerRuns, killsMax } from './consumer-runs.ts'
import { type Failure, failureOf, processKilled } from './failure.ts'
import type { AllChanged, Consumer, Tables } from './handler.ts'
import { tellWaiting } from './park.ts'
import {
  type DueMessage,
  type Fall,
  failParked,
  type ListedMessage,
  listDueMessages,
  postponeParked,
  removeParked,
  takeDueMessage,
} from './parked-queue.ts'
import { payloadBytesMaxDefault } from './pipeline.ts'
import { notHandled, readMessage } from './read-message.ts'
import { afterFailure } from './retry-policy.ts'
import { killsOf } from './suspects.ts'

export interface ParkedWorkerOptions<T extends Tables> {
  consumer: Consumer<T>
  database: Pick<Database, 'transaction'>
  /** The service: `source` of what it sends. */
  source: string
  namespace: string
  logger: Logger
  health: Health
  now?: () => Date
  /** How often it looks for messages whose time has come; default 1 s. */
  pollIntervalMs?: number
  payloadBytesMax?: number
  /** Finds the message that kills a process; without it none is looked for. */
  runs?: ConsumerRuns
}

const listMax = 100
/** How long a message waits that could not be tried, since nothing could. */
const postponeBackoff = { baseMs: 1000, capMs: 5000 }

const retried = counter(
  'edp_parked_retries_total',
  'Tries of parked messages by what came of them',
  ['consumer', 'result'],
)

/**
 * Tries parked messages again when their time has come, each alone, through the code that handles batches: without a claim, since the
 * row is the claim, which ends in the transaction of the effect. Of a key that is held only the first can be tried, and the next one
 * is the first as soon as that has ended, so nobody has to wake it. Any number of processes may run it.
 */
export function createParkedWorker<T extends Tables>(options: ParkedWorkerOptions<T>): Loop {
  const { consumer, database, logger, health, pollIntervalMs = 1000 } = options
  const loop = createLoop({
    name: `${consumer.name}.parked`,
    intervalMs: pollIntervalMs,
    logger,
    work: async (signal) => {
      await options.runs?.ready()
      const due = await database.transaction((tx) => listDueMessages(tx, consumer, listMax))
      for (const listed of due) {
        if (signal.aborted) return undefined
        await tryListed(options, listed)
      }
      return due.length > 0 ? 'again' : undefined
    },
  })
  health.register(loop.name, () => loop.report())
  return loop
}

/** Marked when it may be what kills processes, and always when it was. */
async function tryListed<T extends Tables>(
  options: ParkedWorkerOptions<T>,
  { messageId, reason }: ListedMessage,
): Promise<void> {
  const { runs, consumer } = options
  if (runs === undefined) return tryMessage(options, messageId)
  if (reason !== 'process-killed' && !runs.isCautious) {
    return runs.together(() => tryMessage(options, messageId))
  }
  const messageIds = [messageId]
  await runs.marked({ consumer: consumer.name, messageIds }, (marks) =>
    tryMessage(options, messageId, killsOf(messageIds, marks)),
  )
}

/** @throws what concerns not this message alone: then the loop waits */
async function tryMessage<T extends Tables>(
  options: ParkedWorkerOptions<T>,
  messageId: string,
  kills = 0,
): Promise<void> {
  const { consumer, database, logger } = options
  let taken: DueMessage | undefined
  let changed: AllChanged<T> | undefined
  try {
    await database.transaction(async (tx) => {
      taken = await takeDueMessage(tx, consumer, messageId)
      if (taken && kills >= killsMax) throw processKilled(kills)
      if (taken) changed = await applyParked(tx, options, taken)
    })
  } catch (error) {
    if (taken === undefined) throw error
    await settleFailure(options, taken, error)
    return
  }
  if (taken === undefined) return
  retried.inc({ consumer: consumer.name, result: 'applied' })
  try {
    if (changed) consumer.afterCommit(changed)
  } catch (error) {
    logger.error({ err: error }, 'afterCommit failed')
  }
}

async function applyParked<T extends Tables>(
  tx: Tx,
  options: ParkedWorkerOptions<T>,
  due: DueMessage,
): Promise<AllChanged<T> | undefined> {
  const { consumer, payloadBytesMax = payloadBytesMaxDefault } = options
  const message = readMessage(due.incoming, { consumer, payloadBytesMax })
  // What was skipped as none of our business would never have been parked.
  if (message === undefined) throw notHandled(due.incoming)
  const sender = senderOf(options)
  const changed = await applyMessages(tx, { ...sender, consumer }, [message])
  removeParked(tx, due)
  if (due.isDeadLettered) {
    const { messageId, redriveId } = due
    const body = { consumer: consumer.name, messageId, outcome: 'applied' as const, redriveId }
    enqueue(
      tx,
      [outgoing(messageResolvedV1, messageId, body)],
      originOfLetter(due.incoming, sender),
    )
  }
  return changed
}

async function settleFailure<T extends Tables>(
  options: ParkedWorkerOptions<T>,
  due: DueMessage,
  error: unknown,
): Promise<void> {
  const { consumer, database, logger } = options
  const failure = failureOf(error)
  if (failure.class === 'transient-everything') {
    retried.inc({ consumer: consumer.name, result: 'postponed' })
    const delayMs = fullJitter({ attempt: 2, ...postponeBackoff })
    await database.transaction(async (tx) => postponeParked(tx, due, delayMs))
    throw error
  }
  const fall = fallOf(options, due, failure)
  const { messageId, incoming } = due
  logger.warn({ err: error, messageId, position: incoming.position, ...fall }, 'retry failed')
  await database.transaction((tx) => writeFall(tx, options, due, fall))
  retried.inc({ consumer: consumer.name, result: fall.status })
}

function fallOf<T extends Tables>(
  options: ParkedWorkerOptions<T>,
  due: DueMessage,
  failure: Failure,
): Fall {
  const { now } = senderOf(options)
  const { attempts, firstFailedAt } = due
  const past = { attempts, firstFailedAt: firstFailedAt ?? now }
  const verdict = afterFailure(options.consumer.retry, past, failure, { now })
  return verdict.status === 'dead'
    ? { ...verdict, delayMs: 0, failure, failedAt: now }
    : { ...verdict, reason: failure.reason, failure, failedAt: now }
}

async function writeFall<T extends Tables>(
  tx: Tx,
  options: ParkedWorkerOptions<T>,
  due: DueMessage,
  fall: Fall,
): Promise<void> {
  const isWritten = await failParked(tx, due, fall)
  if (!isWritten || fall.status !== 'dead') return
  const { consumer } = options
  const { messageId, incoming, redriveId, firstFailedAt } = due
  const sender = senderOf(options)
  const letter = deadLetter({
    consumer: consumer.name,
    messageId,
    incoming,
    failure: fall.failure,
    reason: fall.reason,
    attempts: fall.attempts,
    firstFailedAt: firstFailedAt ?? fall.failedAt,
    lastFailedAt: fall.failedAt,
    redriveId,
  })
  enqueue(tx, [letter], originOfLetter(incoming, sender))
  // Of those that waited behind it while it was only retried nobody has been told.
  if (consumer.retry.order === 'skip') return
  await tellWaiting(tx, { consumer, sender }, new Map([[due.key, incoming]]))
}

function senderOf<T extends Tables>({
  source,
  namespace,
  now,
}: ParkedWorkerOptions<T>): Omit<ApplyOptions<T>, 'consumer'> {
  return { source, namespace, now: now?.() ?? new Date() }
}
