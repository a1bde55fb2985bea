import type { DeadLetterReason } from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'
import { contentOf, stableHeaders, storable } from './content.ts'
import { derivedMessageId, groupIdOf } from './domain/derived-id.ts'
import type { Died } from './domain/fact.ts'
import { serviceName } from './service-name.ts'

const errorLengthMax = 8 * 1024

/**
 * The letter of a message that cannot be read here: nobody takes it back, a person can look at it. It is said to have failed before
 * everything else, so that the same message read again changes nothing.
 */
export function rawLetter(
  incoming: IncomingMessage,
  why: { readonly reason: DeadLetterReason; readonly problems: readonly string[] },
  now: Date,
): Died {
  const { transport, position, headers, body } = incoming
  const consumer = `${serviceName}.${transport}`
  // Only a partition's offset is the same at the next delivery.
  const place = transport === 'kafka' ? position : ''
  const fingerprint = `${consumer} unreadable ${why.reason}`
  return {
    kind: 'died',
    id: null,
    at: new Date(0),
    consumer,
    messageId: derivedMessageId(new Date(0), [place, stableHeaders(headers), body]),
    redriveId: null,
    subject: {
      source: transport === 'kafka' ? 'kafka' : 'dlq',
      position: storable(position),
      type: null,
      key: null,
      correlationId: null,
      causationId: null,
      traceparent: null,
      coordination: 'choreographed',
    },
    failure: {
      groupId: groupIdOf(fingerprint),
      fingerprint,
      reason: why.reason,
      errorCode: 'unreadable',
      errorMessage: storable(why.problems.join('; ')).slice(0, errorLengthMax),
      errorStack: null,
      attempts: 1,
      firstFailedAt: now,
      lastFailedAt: now,
    },
    content: contentOf(headers, body),
  }
}
