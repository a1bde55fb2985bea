import type { ConsumeMessage, MessageProperties } from 'amqplib'
import type { IncomingMessage } from './incoming-message.ts'

/** Which headers of a delivery its consumer gets. */
export type HeaderChoice = 'of-the-message' | 'all'

/** A delivery as the pipeline takes it. The consumer's tag is the name of its queue. */
export function incomingMessage(
  { fields, properties, content }: ConsumeMessage,
  headers: HeaderChoice = 'of-the-message',
): IncomingMessage {
  const messageId: unknown = properties.messageId
  const name = typeof messageId === 'string' ? messageId : `delivery-${fields.deliveryTag}`
  return {
    transport: 'rabbitmq',
    position: `${fields.consumerTag}@${name}`,
    headers: headers === 'all' ? allHeaders(properties) : textHeaders(properties),
    body: content,
  }
}

// All of ours are text. The broker's own (`x-death`, `x-delivery-count`) say something of this copy and not of the message.
function textHeaders({ headers = {}, contentType }: MessageProperties): Record<string, string> {
  const texts: Record<string, string> = {}
  // Its own alone: amqplib makes a table that is named `__proto__` the prototype, whose getters throw.
  for (const [name, value] of entriesOf(headers)) {
    if (typeof value === 'string' && !name.startsWith('x-')) texts[name] = value
  }
  if (typeof contentType === 'string') texts['content-type'] = contentType
  return texts
}

function entriesOf(headers: object): [string, unknown][] {
  return Object.entries(headers)
}

/** For who looks at dead messages: also what the broker says (`x-death`), and what is not text, as JSON. */
function allHeaders({ headers = {}, contentType }: MessageProperties): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const [name, value] of entriesOf(headers)) {
    texts[name] = typeof value === 'string' ? value : jsonOf(value)
  }
  if (typeof contentType === 'string') texts['content-type'] = contentType
  return texts
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'bigint' ? part.toString() : part,
  )
}
