import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
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

  test('that are no text are JSON for who looks at dead messages', () => {
    const { headers } = incomingMessage(delivery({ count: 3n, list: [null, true] }), 'all')
    expect(headers).toMatchObject({ count: '"3"', list: '[null,true]' })
  })

  // infra/patches/amqplib@2.3.1.patch: the original overflows the stack, and with it goes the connection, at every delivery.
  test.each(['A', 'F'] as const)('are read however deep they are: %s', (tag) => {
    let value: Buffer = Buffer.from('V')
    for (let depth = 0; depth < 8000; depth += 1) value = inside(tag, value)
    const headers = codec.decodeFields(Buffer.concat([named('deep'), value]))
    const shown = incomingMessage(delivery(headers), 'all').headers['deep']
    expect(shown).toContain('"type":"Buffer"')
    expect(shown?.slice(0, 600).match(tag === 'A' ? /\[/g : /\{/g)).toHaveLength(101)
  })
})

const require = createRequire(import.meta.url)
const codecFile = join(dirname(require.resolve('amqplib')), 'lib/codec.js')
const codec: { decodeFields(bytes: Buffer): MessageProperties['headers'] } = require(codecFile)

function named(name: string): Buffer {
  return Buffer.concat([Buffer.from([name.length]), Buffer.from(name)])
}

/** A value of AMQP 0-9-1 in an array, or in a table under the name `a`. */
function inside(tag: 'A' | 'F', value: Buffer): Buffer {
  const content = tag === 'A' ? value : Buffer.concat([named('a'), value])
  const head = Buffer.alloc(5)
  head.write(tag)
  head.writeUInt32BE(content.length, 1)
  return Buffer.concat([head, content])
}
