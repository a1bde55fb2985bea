import type { Envelope, Origin } from '@edp/event-schemas'
import type { Cause } from './domain/payment.ts'

/** What a payment keeps of the message that its work comes from. */
export function causeOf(envelope: Envelope): Cause {
  const { id: messageId, coordination, traceparent } = envelope
  return { messageId, coordination, traceparent }
}

/** The envelope of what is sent when that work ends, maybe by another process and much later. */
export function originOf(
  cause: Cause,
  sender: Pick<Origin, 'source' | 'namespace' | 'now'>,
): Origin {
  const { messageId: causationId, coordination, traceparent } = cause
  return { ...sender, causationId, coordination, ...(traceparent !== undefined && { traceparent }) }
}
