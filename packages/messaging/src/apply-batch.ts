import type { ComposedMessage, Envelope } from '@edp/event-schemas'
import { claim } from '@edp/idempotency'
import { enqueue } from '@edp/outbox'
import { faultPoint, type Tx } from '@edp/runtime'
import { BatchRows, mergeKeys } from './batch-rows.ts'
import type { AllChanged, BoundMessage, Consumer, Tables } from './handler.ts'
import { heldKeys, nothingParked, park, type ParkedCounts, sortOut } from './park.ts'
import type { TakenMessage } from './read-message.ts'

/** Whose messages they are, and what goes into what they send. */
export interface ApplyOptions<T extends Tables> {
  readonly consumer: Consumer<T>
  readonly source: string
  readonly namespace: string
  readonly now: Date
}

/** What a batch came to, once it is committed. */
export interface BatchResult<T extends Tables> {
  readonly applied: number
  readonly duplicate: number
  readonly parked: ParkedCounts
  readonly changed: AllChanged<T> | undefined
}

/** Steps 2 to 6 of a batch: inbox, parking, load, decide, save; the outbox rows go out with the commit. */
export async function applyBatch<T extends Tables>(
  tx: Tx,
  options: ApplyOptions<T>,
  messages: readonly TakenMessage<T>[],
): Promise<BatchResult<T>> {
  // Sent at once and run in this order: what the claim has waited for is committed when the keys are read.
  const [fresh, held] = await Promise.all([
    claimFresh(options.consumer.name, tx, messages),
    heldKeys(tx, options.consumer, messages),
  ])
  const duplicate = messages.length - fresh.length
  if (fresh.length === 0) {
    return { applied: 0, duplicate, parked: nothingParked, changed: undefined }
  }
  const parkOptions = { consumer: options.consumer, sender: options }
  const { toHandle, toPark } = sortOut(fresh, held)
  const parked = await park(tx, parkOptions, toPark)
  const changed = await applyMessages(tx, options, boundOf(toHandle))
  await faultPoint('pipeline.before-commit')
  return { applied: toHandle.length, duplicate, parked, changed }
}

/** Load, decide, save: the effects of messages that are nobody else's meanwhile. */
export async function applyMessages<T extends Tables>(
  tx: Tx,
  options: ApplyOptions<T>,
  messages: readonly BoundMessage<T>[],
): Promise<AllChanged<T> | undefined> {
  const { consumer, now, source, namespace } = options
  if (messages.length === 0) return undefined
  const loaded = await consumer.store.load(tx, mergeKeys(consumer.store, messages))
  const rows = new BatchRows(consumer.store, loaded)
  const sent: ComposedMessage[] = []
  for (const message of messages) {
    const decision = message.decide(rows.rows, now)
    if (decision.changed) rows.apply(decision.changed)
    if (decision.messages) {
      const origin = originOf(message.envelope, { source, namespace, now })
      sent.push(...enqueue(tx, decision.messages, origin))
    }
  }
  const changed = rows.changed()
  await consumer.store.save(tx, changed, sent)
  return changed
}

function originOf<O extends object>(cause: Envelope, origin: O) {
  return {
    ...origin,
    coordination: cause.coordination,
    causationId: cause.id,
    ...(cause.traceparent !== undefined && { traceparent: cause.traceparent }),
    priority: cause.priority,
  }
}

/** The messages that are new to the inbox, in their order; of two copies in one batch the first. */
async function claimFresh<T extends Tables>(
  consumerName: string,
  tx: Tx,
  messages: readonly TakenMessage<T>[],
): Promise<TakenMessage<T>[]> {
  const byId = new Map<string, TakenMessage<T>>()
  for (const message of messages) {
    if (!byId.has(message.inboxId)) byId.set(message.inboxId, message)
  }
  const claimed = await claim(tx, consumerName, [...byId.keys()])
  return [...byId.values()].filter((message) => claimed.has(message.inboxId))
}

function boundOf<T extends Tables>(messages: readonly TakenMessage<T>[]): BoundMessage<T>[] {
  return messages.flatMap((message) => (message.failure === undefined ? [message.message] : []))
}
