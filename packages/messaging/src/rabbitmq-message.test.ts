import type { ConsumeMessage, MessageProperties } from 'amqplib'
import { describe, expect, test } from 'vitest'
import { incomingMessage } from './rabbitmq-message.ts'

function delivery(headers: MessageProperties['headers']): ConsumeMessage {
  const none = { contentEncoding: undefined, priority: undefined, correlationId: undefined }
  const others = { replyTo: undefined, expiration: undefined, messageId: undefined }
  const unset = { timestamp: undefined, type: undefined, userId: undefined, appId: undefined }
  return {
    content: Buffer.from('{}'),
    fields: {
      consumerTag: 'edp.payment.commands',
      deliveryTag: 7,
      redelivered: false,
      exchange: 'edp.commands',
      routingKey: 'edp.payment.commands',
    },
    properties: {
      ...none,
      ...others,
      ...unset,
      contentType: 'application/json',
      headers,
      deliveryMode: 2,
      clusterId: undefined,
    },
  }
}

// What amqplib makes of a header that is named `__proto__`.
function withPrototype(prototype: object): MessageProperties['headers'] {
  const headers: Record<string, unknown> = { cloudEvents_type: 'payment.capture.v1' }
  Object.setPrototypeOf(headers, prototype)
  return headers
}

describe('the headers of a delivery', () => {
  test('are its own, whatever a header named __proto__ holds', () => {
    for (const prototype of [Buffer.from('bytes'), [1, 2], { cloudEvents_id: 'inherited' }]) {
      for (const choice of ['of-the-message', 'all'] as const) {
        expect(incomingMessage(delivery(withPrototype(prototype)), choice).headers).toEqual({
          cloudEvents_type: 'payment.capture.v1',
          'content-type': 'application/json',
        })
      }
    }
  })

  test('that are no text are JSON for who looks at dead messages, however deep they are', () => {
    let deep: unknown[] = []
    for (let depth = 0; depth < 50_000; depth += 1) deep = [deep]
    const { headers } = incomingMessage(delivery({ count: 3n, list: [null, true], deep }), 'all')
    expect(headers).toMatchObject({ count: '"3"', list: '[null,true]' })
    expect(headers['deep']).toContain('cannot be shown: RangeError')
  })
})
