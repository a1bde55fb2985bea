import type { Coordination } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import { noted } from './noted.ts'
import type { OrderTables } from './rows.ts'

/**
 * Decides by the messages of one style of saga. Those of the other are facts that its own decision has brought about: they are
 * noted, so that the timeline tells the same story in both styles, and need no row.
 */
export function decidedIn<Body extends { readonly orderId: string }>(
  style: Coordination,
  handler: MessageHandler<Body, OrderTables>,
): MessageHandler<Body, OrderTables> {
  const other = noted<Body>()
  const of = (coordination: Coordination) => (coordination === style ? handler : other)
  return {
    keys: (message) => of(message.envelope.coordination).keys(message),
    decide: (message, rows, now) => of(message.envelope.coordination).decide(message, rows, now),
  }
}
