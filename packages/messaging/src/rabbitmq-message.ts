import type { ConsumeMessage, MessageProperties } from 'amqplib'
import type { IncomingMessage } from './incoming-message.ts'

/** A delivery as the pipeline takes it. The consumer's tag is the name of its queue. */
export function incomingMessage({ fields, properties, content }: ConsumeMessage): IncomingMessage {
  const messageId: unknown = properties.messageId
  const name = typeof messageId === 'string' ? messageId : `delivery-${fields.deliveryTag}`
  return {
    transport: 'rabbitmq',
    position: `${fields.consumerTag}@${name}`,
    headers: textHeaders(properties),
    body: content,
  }
}

// All of ours are text. The broker's own (`x-death`, `x-delivery-count`) say something of this copy and not of the message.
function textHeaders({ headers = {}, contentType }: MessageProperties): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const name in headers) {
    const value: unknown = headers[name]
    if (typeof value === 'string' && !name.startsWith('x-')) texts[name] = value
  }
  if (typeof contentType === 'string') texts['content-type'] = contentType
  return texts
}
