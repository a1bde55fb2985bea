import { readConfig } from '@edp/runtime'
import { expect, test } from 'vitest'
import { config } from './config.ts'

const env = {
  KAFKA_BROKERS: 'localhost:9092',
  RABBITMQ_URL: 'amqp://localhost',
  OUTBOX_DATABASES: '{"orders":"postgres://localhost/orders"}',
}

test('what dead rows do to their keys is told by destination', () => {
  const policies = { 'edp.order.events': 'skip', '*': 'halt' }
  const read = readConfig(config, { ...env, OUTBOX_DEAD_ROWS: JSON.stringify(policies) })
  expect(read.OUTBOX_DEAD_ROWS).toEqual(policies)
  expect(readConfig(config, env).OUTBOX_DEAD_ROWS).toBeUndefined()
})

test('every policy that is none is named at once', () => {
  const policies = '{"a":"stop","b":"skip","c":1}'
  const read = () => readConfig(config, { ...env, RABBITMQ_URL: 'x', OUTBOX_DEAD_ROWS: policies })
  for (const name of ['OUTBOX_DEAD_ROWS.a', 'OUTBOX_DEAD_ROWS.c', 'RABBITMQ_URL']) {
    expect(read).toThrow(name)
  }
  expect(() => readConfig(config, { ...env, OUTBOX_DEAD_ROWS: 'skip' })).toThrow('JSON object')
})
