import { headerPrefix, type Transport } from '@edp/event-schemas'

/** A message as a broker delivered it. */
export interface IncomingMessage {
  readonly transport: Transport
  /** Where it lies, for logs and dead letters: `edp.order.events/3@1207`. */
  readonly position: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  /** When the broker took it, in milliseconds since 1970, where it says so. */
  readonly recordedAtMs?: number
}

/** An attribute of a message by its header, unchecked: for messages that cannot be read. */
export function attributeOf(
  { transport, headers }: Pick<IncomingMessage, 'transport' | 'headers'>,
  name: string,
): string | undefined {
  return headers[headerPrefix[transport] + name]
}

/** What orders a message, as far as its headers say so. */
export function subjectOf(message: IncomingMessage): string | undefined {
  return attributeOf(message, 'subject') || undefined
}
