import type { ComposedMessage, Envelope } from '@edp/event-schemas'
import { claim } from '@edp/idempotency'
import { enqueue } from '@edp/outbox'
import { AppError, faultPoint, type Tx } from '@edp/runtime'
import { BatchRows, mergeKeys } from './batch-rows.ts'
import type { AllChanged, BoundMessage, Consumer, Loaded, Tables } from './handler.ts'
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

/**
 * Steps 2 to 6 of a batch of which every message is new and none is held, as nearly always: then it is loaded in the round trip of its
 * claim, two round trips in all.
 * @throws AppError `not-all-new` when it is not so: what was loaded for a message that is not to be handled may not be committed.
 * Whatever else it throws may have come of such a message; `applyBatch` sorts them out.
 */
export async function applyAllNew<T extends Tables>(
  tx: Tx,
  options: ApplyOptions<T>,
  messages: readonly TakenMessage<T>[],
): Promise<BatchResult<T>> {
  const bound = boundOf(messages)
  // Sent at once and run in this order: what the claim has waited for is committed when the keys and the rows are read.
  const [fresh, held, loaded] = await Promise.all([
    claimFresh(options.consumer.name, tx, messages),
    heldKeys(tx, options.consumer, messages),
    load(tx, options.consumer, bound),
  ])
  if (sortOut(fresh, held).toHandle.length < messages.length) {
    throw new AppError('not-all-new', 'some messages are not to be handled', { retry: 'permanent' })
  }
  const changed = await decideAll(tx, options, bound, loaded)
  await faultPoint('pipeline.before-commit')
  return { applied: messages.length, duplicate: 0, parked: nothingParked, changed }
}

/** Steps 2 to 6 of a batch: inbox, parking, load, decide, save; the outbox rows go out with the commit. */
export async function applyBatch<T extends Tables>(
  tx: Tx,
  options: ApplyOptions<T>,
  messages: readonly TakenMessage<T>[],
): Promise<BatchResult<T>> {
  // In this order, as above.
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
  if (messages.length === 0) return undefined
  return decideAll(tx, options, messages, await load(tx, options.consumer, messages))
}

function load<T extends Tables>(
  tx: Tx,
  { store }: Consumer<T>,
  messages: readonly BoundMessage<T>[],
): Promise<Loaded<T>> {
  return store.load(tx, mergeKeys(store, messages))
}

async function decideAll<T extends Tables>(
  tx: Tx,
  { consumer, now, source, namespace }: ApplyOptions<T>,
  messages: readonly BoundMessage<T>[],
  loaded: Loaded<T>,
): Promise<AllChanged<T>> {
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
