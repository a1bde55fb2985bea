import type { Envelope } from '@edp/event-schemas'
import type { Cause } from './domain/notification.ts'

/** What a notification keeps of the message that it comes from. */
export function causeOf({ id: messageId, coordination, traceparent }: Envelope): Cause {
  return { messageId, coordination, traceparent }
}
