import { z } from 'zod'
import { type BodyOf, type Contract, defineContract } from './contract.ts'
import { instant } from './fields.ts'
import { queues } from './topology.ts'

const topic = { transport: 'kafka', topic: 'dead-letters' } as const

/** How much of a message's body a dead letter carries; the rest stays where the message died. */
export const deadLetterBodyBytesMax = 64 * 1024
/** How much of an error's stack it carries. */
export const deadLetterStackBytesMax = 8 * 1024

/** Why a message is dead. */
export const deadLetterReason = z.enum([
  'poison',
  'unknown-type',
  'unknown-version',
  'too-old',
  'permanent',
  'attempts-exhausted',
  'process-killed',
  'delivery-limit',
  'expired',
  'outbox-unpublishable',
])
export type DeadLetterReason = z.infer<typeof deadLetterReason>

/** The name of a consumer, `inventory-service.kafka`; also of a relay, `outbox-relay.inventory`, and of due work, `payment-service.due-work`. */
export const consumerName = z
  .string()
  .regex(/^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$/, 'expected a name such as order-service.kafka')

/**
 * Which dead letter a message is about: `messageId` is what the inbox of the consumer knows it by, the envelope's id, or one
 * derived from where it lay when that cannot be read. The pair stays the same over every redrive.
 */
const letter = { consumer: consumerName, messageId: z.uuid() }

/** The bytes of a message as they were. A body is text where it is UTF-8, else base64. */
const content = z.object({
  headers: z.record(z.string(), z.string()),
  body: z.string(),
  encoding: z.enum(['utf8', 'base64']),
  /** Bytes of the whole body. `body` has the first 64 KiB of it when it is longer. */
  bytes: z.int().nonnegative(),
})

/** What a message failed with, the last time. */
const failure = z.object({
  code: z.string().min(1),
  message: z.string(),
  stack: z.string().nullable(),
})

/** A consumer can not handle a message: it stays parked there until it is redriven or discarded. Said again after a redrive that failed. */
export const messageDeadLetteredV1 = defineContract({
  type: 'message.dead-lettered.v1',
  destination: topic,
  body: z.object({
    ...letter,
    /** Where it came from: a transport, the outbox that it never left, or work that a service owes to somebody outside. */
    source: z.enum(['kafka', 'rabbitmq', 'outbox', 'due-work']),
    /** `edp.order.events/3@1207`, or the queue. */
    position: z.string().min(1),
    type: z.string().nullable(),
    /** What orders it: the order id. Null when it cannot be read. */
    key: z.string().nullable(),
    correlationId: z.string().nullable(),
    causationId: z.string().nullable(),
    traceparent: z.string().nullable(),
    content,
    reason: deadLetterReason,
    error: failure,
    attempts: z.int().nonnegative(),
    firstFailedAt: instant,
    lastFailedAt: instant,
    /** Letters with the same one have the same cause: of consumer, type, error code and the first stack frame of our own. */
    fingerprint: z.string().min(1),
    /** The redrive after which it failed again. */
    redriveId: z.uuid().nullable(),
  }),
})
export type MessageDeadLetteredV1 = BodyOf<typeof messageDeadLetteredV1>

/** A dead letter is no more: said in the transaction of its effect, or of its discarding. */
export const messageResolvedV1 = defineContract({
  type: 'message.resolved.v1',
  destination: topic,
  body: z.object({
    ...letter,
    outcome: z.enum(['applied', 'already-applied', 'discarded']),
    redriveId: z.uuid().nullable(),
  }),
})
export type MessageResolvedV1 = BodyOf<typeof messageResolvedV1>

/** How many messages wait behind a parked one, since its consumer needs the order of its key. Said when the number changes. */
export const messageWaitingV1 = defineContract({
  type: 'message.waiting.v1',
  destination: topic,
  body: z.object({ ...letter, key: z.string(), waiting: z.int().nonnegative() }),
})
export type MessageWaitingV1 = BodyOf<typeof messageWaitingV1>

const redriveQueue = {
  transport: 'rabbitmq',
  exchange: 'redrive',
  routingKey: '{service}.redrive',
} as const

/** Try a dead letter again, in its old place. */
export const messageRedriveV1 = defineContract({
  type: 'message.redrive.v1',
  destination: redriveQueue,
  body: z.object({
    ...letter,
    redriveId: z.uuid(),
    /** Who asked for it. */
    by: z.string().min(1).max(200),
    /** A corrected body, as JSON text: never with another id, type or key. Null: as it was. */
    body: z.string().nullable(),
    /** The message itself, for a consumer that has it no more: what the broker dead-lettered. */
    message: z
      .object({
        headers: z.record(z.string(), z.string()),
        body: z.string(),
        encoding: z.enum(['utf8', 'base64']),
      })
      .nullable(),
  }),
})
export type MessageRedriveV1 = BodyOf<typeof messageRedriveV1>

/** Give a dead letter up: its key goes on without it. */
export const messageDiscardV1 = defineContract({
  type: 'message.discard.v1',
  destination: redriveQueue,
  body: z.object({ ...letter, by: z.string().min(1).max(200), why: z.string().min(1).max(1000) }),
})
export type MessageDiscardV1 = BodyOf<typeof messageDiscardV1>

/** Every service that takes dead letters back. */
export const redriveServices: readonly string[] = queues
  .filter(({ exchange }) => exchange === redriveQueue.exchange)
  .map(({ name }) => name.replace(/\.redrive$/, ''))

/**
 * A contract of the redrive queues, addressed to one service: a dead letter goes back only to the consumer that failed.
 * @throws Error when the service has no such queue
 */
export function addressedTo<Body>(contract: Contract<Body>, service: string): Contract<Body> {
  if (!redriveServices.includes(service)) {
    throw new Error(
      `${service} takes no dead letters back; known are ${redriveServices.join(', ')}`,
    )
  }
  const { destination } = contract
  if (destination.transport !== 'rabbitmq') throw new Error(`${contract.type} goes to a topic`)
  const routingKey = destination.routingKey.replace('{service}', service)
  return { ...contract, destination: { ...destination, routingKey } }
}
