import { defineContract, outgoing } from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { contract, openService, outboxDatabase } from './outbox-database.ts'

const command = defineContract({
  type: 'test.asked.v1',
  destination: { transport: 'rabbitmq', exchange: 'commands', routingKey: 'asked' },
  body: z.strictObject({ sequence: z.number() }),
})

test('the rows of a transaction lie together by transport, each in the order in which it was enqueued', async () => {
  const database = await outboxDatabase()
  const service = openService(database)
  try {
    const origin = {
      source: 'test',
      namespace: 'test',
      now: new Date(),
      coordination: 'orchestrated',
    } as const
    await service.transaction(async (tx) => {
      for (const sequence of [1, 2, 3]) {
        enqueue(tx, [outgoing(contract, 'key', { sequence })], origin)
        enqueue(tx, [outgoing(command, 'key', { sequence })], origin)
      }
    })
    const rows = await database.query(
      `select transport, (payload ->> 'sequence')::integer as sequence from outbox order by id`,
    )
    expect(rows.map(({ transport, sequence }) => [transport, sequence])).toEqual([
      ['kafka', 1],
      ['kafka', 2],
      ['kafka', 3],
      ['rabbitmq', 1],
      ['rabbitmq', 2],
      ['rabbitmq', 3],
    ])
  } finally {
    await service.end()
    await database.drop()
  }
})
