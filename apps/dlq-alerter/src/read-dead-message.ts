import {
  coordination,
  type DeadLetterReason,
  fromHeaders,
  typeFromHeaders,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'
import { z } from 'zod'
import { contentOf, stableHeaders, storable } from './content.ts'
import { consumerOfQueue } from './domain/consumer-names.ts'
import { derivedMessageId, groupIdOf } from './domain/derived-id.ts'
import type { Died, Failure, Subject } from './domain/fact.ts'

/** What RabbitMQ says of a death, in `x-death`; the newest comes first. */
const deaths = z.tuple(
  [
    z.object({
      queue: z.string(),
      reason: z.string(),
      count: z.number(),
      time: z.object({ value: z.number().int().nonnegative().max(253_402_300_799) }),
    }),
  ],
  z.unknown(),
)
type Death = z.infer<typeof deaths>[0]

/**
 * Reads a message that RabbitMQ itself dead-lettered. Whatever it is, it died in a queue of ours, so there is a consumer that
 * failed; its body is kept whole, since nobody else has it any more. Undefined: nothing says where it came from.
 */
export function readDeadMessage(incoming: IncomingMessage, namespace: string): Died | undefined {
  const death = deathOf(incoming)
  const consumer = death && consumerOfQueue(death.queue, namespace)
  if (!death || consumer === undefined) return undefined
  const at = new Date(death.time.value * 1000)
  const subject = subjectOf(incoming, death)
  return {
    kind: 'died',
    id: deliveryId(incoming, at),
    at,
    consumer,
    messageId: messageIdOf(incoming, death, at),
    redriveId: null,
    subject,
    failure: failureOf(death, { consumer, at, type: subject.type }),
    content: contentOf(incoming.headers, incoming.body, Number.POSITIVE_INFINITY),
  }
}

function deathOf({ headers }: IncomingMessage): Death | undefined {
  try {
    const read = deaths.safeParse(JSON.parse(headers['x-death'] ?? ''))
    return read.success ? read.data[0] : undefined
  } catch {
    return undefined
  }
}

/** The same for the same dead copy, whenever it is delivered again; another one for the next copy. */
function deliveryId({ headers, body }: IncomingMessage, at: Date): string {
  return derivedMessageId(at, [stableHeaders(headers), body])
}

/** The envelope's id, by which the inbox of the consumer knows it; else one that is made of what it is. */
function messageIdOf(incoming: IncomingMessage, death: Death, at: Date): string {
  const reading = fromHeaders('rabbitmq', incoming.headers)
  if (reading.ok) return reading.envelope.id.toLowerCase()
  return derivedMessageId(at, [death.queue, stableHeaders(incoming.headers), incoming.body])
}

function subjectOf({ headers, position }: IncomingMessage, { queue }: Death): Subject {
  const attribute = (name: string): string | null => {
    const value = headers[`cloudEvents_${name}`]
    return value === undefined ? null : storable(value)
  }
  const style = coordination.safeParse(attribute('coordination'))
  const type = typeFromHeaders('rabbitmq', headers)
  return {
    source: 'dlq',
    position: storable(`${queue}, ${position}`),
    type: type === undefined ? null : storable(type),
    key: attribute('subject'),
    correlationId: attribute('correlationid'),
    causationId: attribute('causationid'),
    traceparent: attribute('traceparent'),
    coordination: style.success ? style.data : 'choreographed',
  }
}

function failureOf(
  { queue, reason: said, count }: Death,
  { consumer, at, type }: { consumer: string; at: Date; type: string | null },
): Failure {
  const reason = reasonOf(said)
  const fingerprint = [consumer, type?.slice(0, 200) ?? '-', reason, 'broker'].join(' ')
  return {
    groupId: groupIdOf(fingerprint),
    fingerprint,
    reason,
    errorCode: reason,
    errorMessage: storable(`RabbitMQ dead-lettered it from ${queue}: ${said}`),
    errorStack: null,
    attempts: Math.max(1, Math.min(Math.trunc(count), 1_000_000)),
    firstFailedAt: at,
    lastFailedAt: at,
  }
}

function reasonOf(said: string): DeadLetterReason {
  switch (said) {
    case 'delivery_limit':
      return 'delivery-limit'
    case 'expired':
      return 'expired'
    default:
      // Rejected: nobody here does that, so whoever did meant it.
      return 'permanent'
  }
}
