import type { TestDatabase } from '@edp/testkit'
import { waitFor } from '@edp/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import { countersDatabase } from './counted-messages.ts'
import { RelayProcess } from './relay-process.ts'

let database: TestDatabase
let relays: RelayProcess[]

beforeEach(async () => {
  database = await countersDatabase()
  relays = []
})

afterEach(async () => {
  await Promise.all(relays.map((relay) => relay.stop()))
  await database.drop()
})

function start(env: Record<string, string> = {}): RelayProcess {
  const relay = new RelayProcess(database, { OUTBOX_LEASE_MS: '60000', ...env })
  relays.push(relay)
  return relay
}

const leases = () => database.query('select transport from outbox_lease where expires_at > now()')

const readiness = z.object({
  ready: z.boolean(),
  status: z.string(),
  checks: z.record(z.string(), z.object({ status: z.string() })),
})

test('a bad environment is refused with every problem at once', async () => {
  const relay = start({
    OUTBOX_DATABASES: '{"orders":"http://x"}',
    RABBITMQ_URL: 'x',
    KAFKA_BROKERS: '',
  })
  expect(await relay.ended()).toEqual({ code: 1, signal: null })
  for (const name of ['OUTBOX_DATABASES.orders', 'RABBITMQ_URL', 'KAFKA_BROKERS']) {
    expect(relay.output).toContain(name)
  }
})

test('databases that are not JSON are refused without showing their passwords', async () => {
  const relay = start({ OUTBOX_DATABASES: '{"orders":"postgres://relay:secret@host/orders"' })
  expect(await relay.ended()).toEqual({ code: 1, signal: null })
  expect(relay.output).toContain('expected a JSON object')
  expect(relay.output).not.toContain('secret')
})

test('a stop gives the leases back, so that a successor begins at once', async () => {
  const first = start()
  await waitFor(leases, { message: 'both leases are taken', until: (rows) => rows.length === 2 })
  const second = start()
  await second.printed('ready')
  expect(await first.stop()).toBe(0)
  await waitFor(() => second.output.match(/has the lease/g)?.length, {
    message: 'the successor has both leases',
    until: (many) => many === 2,
    // Less than is left of a lease of 60 s, which is renewed every 20 s.
    timeoutMs: 20_000,
  })
})

test('a database or broker that is down at the start is degraded, and the others are drained', async () => {
  const relay = start({
    OUTBOX_DATABASES: JSON.stringify({
      counters: database.relayUrl,
      gone: 'postgres://relay:x@127.0.0.1:1/gone',
    }),
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
  })
  const url = await relay.url()
  const report = await waitFor(
    async () => readiness.parse(await (await fetch(`${url}/health/ready`)).json()),
    {
      message: 'the missing database is reported',
      until: ({ ready, checks }) =>
        ready &&
        checks['drain gone/kafka']?.status === 'degraded' &&
        checks['drain counters/kafka']?.status === 'ok',
    },
  )
  expect(report.status).toBe('degraded')
  const held = 'edp_outbox_lease_held{database="counters",transport="kafka"} 1'
  await waitFor(async () => (await (await fetch(`${url}/metrics`)).text()).includes(held), {
    message: 'the other one is drained',
  })
})
