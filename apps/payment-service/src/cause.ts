import type { CommandHeaders, Direction, Envelope, Origin } from '@edp/event-schemas'
import { commandFor } from '@edp/saga/participant'
import { chargeStep } from './charge-step.ts'
import type { Cause } from './domain/payment.ts'

/** What a payment keeps of the message that its work comes from. */
export function causeOf(envelope: Envelope): Cause {
  const { id: messageId, coordination, traceparent, attempt, priority = 'standard' } = envelope
  return { messageId, coordination, traceparent, attempt, priority }
}

/** The command that the work comes from, to be answered when it ends; undefined when it comes from an event. */
export function commandBehind(
  { attempt }: Cause,
  orderId: string,
  direction: Direction,
): CommandHeaders | undefined {
  return attempt === undefined ? undefined : commandFor(chargeStep(orderId, direction), attempt)
}

/** The envelope of what is sent when that work ends, maybe by another process and much later. */
export function originOf(
  cause: Cause,
  sender: Pick<Origin, 'source' | 'namespace' | 'now'>,
): Origin {
  const { messageId: causationId, coordination, traceparent, priority } = cause
  const trace = traceparent === undefined ? {} : { traceparent }
  return { ...sender, causationId, coordination, priority, ...trace }
}
