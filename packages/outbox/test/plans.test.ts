import { defaultBounds } from '@edp/outbox/drain'
import { declaredStatements } from '@edp/runtime'
import { explainPlans } from '@edp/testkit'
import { expect, test } from 'vitest'
import { outboxDatabase } from './outbox-database.ts'

// The relay's connections plan without sequential scans and bitmaps; so does this.
const planning = '?options=-c%20enable_seqscan%3Doff%20-c%20enable_bitmapscan%3Doff'

test('each statement of the relay looks its rows up by the whole key', async () => {
  const database = await outboxDatabase()
  try {
    const statements = declaredStatements().filter(({ name }) => name.startsWith('outbox_'))
    // Using something of the module is what loads its statements.
    expect(defaultBounds.gapsMax).toBeGreaterThan(0)
    expect(statements.length).toBeGreaterThan(20)
    const problems = await explainPlans(database.url + planning, statements, {
      // Counts the rows of a transport.
      outbox_sample_backlog: { outbox: ['transport'] },
      // All that is dead of a transport, which is little.
      outbox_dead_keys: { outbox_dead: ['transport'] },
      outbox_dead_sample: { outbox_dead: ['transport'] },
      // The rows of a key.
      outbox_release: {
        outbox_dead: ['transport', 'destination', 'key'],
        outbox_lease: ['transport'],
      },
    })
    expect(problems).toEqual([])
  } finally {
    await database.drop()
  }
})
