import { headerPrefix, type Transport } from '@edp/event-schemas'

/** A message as a broker delivered it. */
export interface IncomingMessage {
  readonly transport: Transport
  /** Where it lies, for logs and dead letters: `edp.order.events/3@1207`. */
  readonly position: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  /** What its producer ordered it by, where the transport knows that apart from the headers: the key of a Kafka record. */
  readonly key?: Uint8Array | null
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

/** What orders a message: as its headers say, else the key of its record. */
export function subjectOf(message: IncomingMessage): string | undefined {
  const { key } = message
  return attributeOf(message, 'subject') || (key && Buffer.from(key).toString()) || undefined
}
