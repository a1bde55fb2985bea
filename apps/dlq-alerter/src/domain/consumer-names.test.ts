import { queues } from '@edp/event-schemas'
import { expect, test } from 'vitest'
import { consumerOfQueue, takesLettersBack } from './consumer-names.ts'
import { derivedMessageId } from './derived-id.ts'

test('every work queue has a consumer that takes its letters back', () => {
  const consumers = queues.map(({ name }) => consumerOfQueue(`edp.${name}`, 'edp'))
  expect(consumers).toEqual([
    'inventory-service.rabbitmq',
    'inventory-service.rabbitmq',
    'payment-service.rabbitmq',
    'payment-service.rabbitmq',
    'order-service.rabbitmq',
    'order-service.rabbitmq',
    'inventory-service.rabbitmq',
    'payment-service.rabbitmq',
    'order-service.rabbitmq',
    'notification-service.rabbitmq',
    'order-statistics.rabbitmq',
  ])
  expect(consumers.every((consumer) => takesLettersBack(consumer ?? ''))).toBe(true)
})

test('queues of others have none, and relays take nothing back', () => {
  expect(consumerOfQueue('edp.mail.commands', 'edp')).toBeUndefined()
  expect(consumerOfQueue('other.inventory.commands', 'edp')).toBeUndefined()
  expect(takesLettersBack('outbox-relay.orders')).toBe(false)
  expect(takesLettersBack('payment-service.due-work')).toBe(true)
  expect(takesLettersBack('nonsense')).toBe(false)
})

test('a derived id is a uuid v7 of its time, the same for the same parts and no others', () => {
  const at = new Date('2026-01-01T00:00:00Z')
  const id = derivedMessageId(at, ['a', Buffer.from('bc')])
  expect(id).toMatch(/^019b76da-a800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(derivedMessageId(at, ['a', Buffer.from('bc')])).toBe(id)
  expect(derivedMessageId(at, ['ab', Buffer.from('c')])).not.toBe(id)
})
