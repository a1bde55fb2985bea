import type { ComposedMessage, Envelope } from '@edp/event-schemas'
import { claim } from '@edp/idempotency'
import { enqueue } from '@edp/outbox'
import { faultPoint, type Tx } from '@edp/runtime'
import { BatchRows, mergeKeys } from './batch-rows.ts'
import type { AllChanged, BoundMessage, Consumer, Tables } from './handler.ts'
import type { PositionedMessage } from './read-message.ts'

/** Whose messages they are, and what goes into what they send. */
export interface ApplyOptions<T extends Tables> {
  readonly consumer: Consumer<T>
  readonly source: string
  readonly namespace: string
  readonly now: Date
}

/** What a batch came to, once it is committed. */
export interface BatchResult<T extends Tables> {
  /** How many messages were no duplicates. */
  readonly fresh: number
  readonly changed: AllChanged<T> | undefined
}

/** Steps 2 to 6 of a batch: inbox, load, decide, save; the outbox rows go out with the commit. */
export async function applyBatch<T extends Tables>(
  tx: Tx,
  options: ApplyOptions<T>,
  messages: readonly PositionedMessage<T>[],
): Promise<BatchResult<T>> {
  const { consumer, now, source, namespace } = options
  const fresh = await claimFresh(consumer.name, tx, messages)
  if (fresh.length === 0) return { fresh: 0, changed: undefined }
  const loaded = await consumer.store.load(tx, mergeKeys(consumer.store, fresh))
  const rows = new BatchRows(consumer.store, loaded)
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
  await faultPoint('pipeline.before-commit')
  return { fresh: fresh.length, changed }
}

function originOf<O extends object>(cause: Envelope, origin: O) {
  return {
    ...origin,
    coordination: cause.coordination,
    causationId: cause.id,
    ...(cause.traceparent !== undefined && { traceparent: cause.traceparent }),
  }
}

/** The messages that are new to the inbox, in their order; of two copies in one batch the first. */
async function claimFresh<T extends Tables>(
  consumerName: string,
  tx: Tx,
  messages: readonly PositionedMessage<T>[],
): Promise<BoundMessage<T>[]> {
  const byId = new Map<string, BoundMessage<T>>()
  for (const { message } of messages) {
    if (!byId.has(message.envelope.id)) byId.set(message.envelope.id, message)
  }
  const claimed = await claim(tx, consumerName, [...byId.keys()])
  return [...byId.values()].filter((message) => claimed.has(message.envelope.id))
}
