import { once } from 'node:events'
import { fromHeaders, newMessageId, topics } from '@edp/event-schemas'
import {
  createKafkaPublisher,
  declareTopology,
  deleteTopics,
  deleteTopology,
  ensureTopics,
  type IncomingMessage,
} from '@edp/messaging'
import { createLogger } from '@edp/runtime'
import {
  killApps,
  spawnApp,
  stack,
  startApp,
  templateDatabase,
  type TestDatabase,
  uniqueNamespace,
  waitFor,
} from '@edp/testkit'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { migrations, request } from './alerter.ts'
import { deadBody, died, garbage, resolved } from './given.ts'

// The service as a process, on the real brokers.

const { kafkaBrokers: brokers, rabbitmqUrl: url } = stack()
const logger = createLogger('alerter-test', 'error')
const publisher = createKafkaPublisher({ brokers, clientId: 'alerter-test', logger })
let namespace = ''
let postgres: TestDatabase
let model: ChannelModel
let channel: ConfirmChannel

beforeAll(async () => {
  await publisher.start()
  model = await connect(url)
  channel = await model.createConfirmChannel()
})
beforeEach(async () => {
  namespace = uniqueNamespace()
  postgres = await templateDatabase({ role: 'dlq_alerter', migrations })
  await ensureTopics({ brokers, namespace, topics })
  await declareTopology({ url, namespace })
})
afterEach(async () => {
  killApps()
  await deleteTopology({ url, namespace })
  await deleteTopics({ brokers, namespace, topics })
  await postgres.drop()
})
afterAll(async () => {
  await publisher.stop()
  await model.close()
})

const who = { by: 'ada', why: 'the cause is mended' }

function env(): Record<string, string> {
  return {
    HTTP_PORT: '0',
    DATABASE_URL: postgres.serviceUrl,
    KAFKA_BROKERS: brokers.join(','),
    RABBITMQ_URL: url,
    MESSAGING_NAMESPACE: namespace,
  }
}

/** Publishes facts as the relay does: again when the broker does not know a new topic yet. */
async function publish(messages: readonly IncomingMessage[]): Promise<void> {
  let rows = messages.map((message, index) => ({
    id: index + 1,
    messageId: message.headers['ce_id'] ?? '',
    destination: `${namespace}.dead-letters`,
    key: message.headers['ce_subject'] ?? 'garbage',
    type: message.headers['ce_type'] ?? '',
    payload: Buffer.from(message.body).toString(),
    headers: message.headers as Record<string, string>,
  }))
  await waitFor(
    async () => {
      const outcome = await publisher.publish(rows)
      rows = rows.filter((_, index) => outcome[index] !== undefined)
      return rows.length === 0
    },
    { message: 'all are published' },
  )
}

async function counted(sql: string): Promise<number> {
  const [row] = await postgres.query(`select count(*)::int as counted from ${sql}`)
  return Number(row?.['counted'])
}

/** Commands in the outbox, taken as the relay would. */
async function takeCommands(): Promise<{ messageId: string; redriveId: string }[]> {
  const rows = await postgres.query(
    `with taken as (delete from outbox where transport = 'rabbitmq' returning *)
     select payload ->> 'messageId' as message_id, payload ->> 'redriveId' as redrive_id
     from taken order by id`,
  )
  return rows.map((row) => ({
    messageId: String(row['message_id']),
    redriveId: String(row['redrive_id']),
  }))
}

test('ten thousand dead letters, some of them twice, are taken in, with a kill in the middle', async () => {
  const bodies = Array.from({ length: 10_000 }, (_, index) =>
    deadBody({ fingerprint: `cause ${index % 20}` }),
  )
  const facts = bodies.map((body) => died(body))
  const { child } = await startApp('dlq-alerter', env())
  const startedAt = performance.now()
  await publish(facts)
  await publish(facts.slice(0, 2000))
  await waitFor(() => counted('letters'), {
    message: 'some are in',
    until: (letters) => letters > 1000,
    intervalMs: 5,
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const killedAt = await counted('letters')
  const { url: at } = await startApp('dlq-alerter', env())
  await waitFor(() => counted('letters'), {
    message: 'all are in',
    until: (letters) => letters === bodies.length,
    timeoutMs: 40_000,
  })
  const seconds = (performance.now() - startedAt) / 1000
  // What comes last of every partition: when it is in, all copies were seen.
  const last = Array.from({ length: 60 }, () => deadBody({ fingerprint: 'last' }))
  await publish(last.map((body) => died(body)))
  await waitFor(() => counted(`letters where fingerprint = 'last'`), {
    message: 'the last are in',
    until: (letters) => letters === last.length,
  })
  expect(await counted(`letters where fingerprint <> 'last'`)).toBe(bodies.length)
  const { body } = await request(at, { method: 'GET', path: '/groups?limit=100' })
  const ofBatch = body.groups.filter(
    ({ fingerprint }: { fingerprint: string }) => fingerprint !== 'last',
  )
  expect(ofBatch.map(({ open }: { open: number }) => open)).toEqual(Array(20).fill(500))
  console.log(`10,000 letters in ${seconds.toFixed(1)} s, ${killedAt} of them before the kill`)
})

test('garbage in both queues is kept and acknowledged, and what the broker dead-letters finds its consumer', async () => {
  await publish([garbage('not JSON'), garbage('{}', { ce_type: 'message.dead-lettered.v1' })])
  const dlq = `${namespace}.dlq`
  channel.publish(`${namespace}.dlx`, dlq, Buffer.from([0, 1, 255]), { headers: { n: 7 } })
  const queue = `${namespace}.inventory.commands`
  const messageId = newMessageId()
  channel.publish(`${namespace}.commands`, queue, Buffer.from('{"orderId":1}'), {
    messageId,
    headers: { cloudEvents_type: 'stock.reserve.v1' },
    // Dead of age: the one death that needs no thousand deliveries.
    expiration: '1',
  })
  await channel.waitForConfirms()
  const { url: at } = await startApp('dlq-alerter', env())
  const dead = deadBody({ fingerprint: 'behind' })
  await publish([died(dead)])
  await waitFor(() => counted('letters'), { message: 'all are in', until: (all) => all === 5 })
  const list = async (consumer: string) =>
    (await request(at, { method: 'GET', path: `/letters?consumer=${consumer}` })).body.letters
  expect(await list('inventory-service.rabbitmq')).toMatchObject([
    { source: 'dlq', type: 'stock.reserve.v1', reason: 'expired' },
  ])
  expect(await list('dlq-alerter.rabbitmq')).toMatchObject([{ reason: 'poison' }])
  expect(await list('dlq-alerter.kafka')).toHaveLength(2)
  await waitFor(async () => (await channel.checkQueue(dlq)).messageCount, {
    message: 'the queue of dead letters is empty',
    until: (left) => left === 0,
  })
})

test.each(['ingest.after-commit'])(
  'a process that dies at %s loses no letter and has none twice',
  async (point) => {
    const bodies = Array.from({ length: 300 }, () => deadBody())
    await publish(bodies.map((body) => died(body)))
    const { child } = spawnApp('dlq-alerter', { ...env(), FAULT_POINTS: `${point}=kill` })
    expect(await once(child, 'exit')).toEqual([null, 'SIGKILL'])
    await startApp('dlq-alerter', env())
    await waitFor(() => counted('letters'), {
      message: 'all are in',
      until: (letters) => letters === bodies.length,
      timeoutMs: 30_000,
    })
    const [group] = await postgres.query('select sum(open)::int as open from letter_groups')
    expect(group).toEqual({ open: bodies.length })
  },
)

test('a redrive of a thousand letters survives a SIGKILL in the middle, and each letter is sent once', async () => {
  const bodies = new Map(
    Array.from({ length: 1000 }, () => deadBody()).map((body) => [body.messageId, body]),
  )
  const first = await startApp('dlq-alerter', env())
  await publish([...bodies.values()].map((body) => died(body)))
  await waitFor(() => counted('letters'), { message: 'all are in', until: (all) => all === 1000 })
  const selection = { consumer: 'inventory-service.kafka' }
  const started = await request(first.url, {
    method: 'POST',
    path: '/redrives',
    body: { selection, canary: 10, ratePerSecond: 400, ...who },
  })
  expect(started.status).toBe(202)
  const sent: string[] = []
  const fails = new Set<string>()
  const answer = async (): Promise<void> => {
    const commands = await takeCommands()
    sent.push(...commands.map(({ messageId }) => messageId))
    await publish(
      commands.flatMap(({ messageId, redriveId }) => {
        const body = bodies.get(messageId)
        if (!body) return []
        // The canary is well; of the others one in ten fails again.
        const isBad = sent.indexOf(messageId) >= 10 && sent.indexOf(messageId) % 10 === 0
        if (isBad) fails.add(messageId)
        return isBad ? died({ ...body, redriveId }) : resolved(body, { redriveId })
      }),
    )
  }
  const answered = (atLeast: number) =>
    waitFor(() => answer().then(() => sent.length), {
      message: `${atLeast} are sent`,
      until: (count) => count >= atLeast,
      timeoutMs: 30_000,
    })
  await answered(300)
  first.child.kill('SIGKILL')
  await once(first.child, 'exit')
  const second = await startApp('dlq-alerter', env())
  await answered(1000)
  const path = `/redrives/${started.body.redriveId}`
  const done = await waitFor(() => request(second.url, { method: 'GET', path }), {
    message: 'it is done',
    until: ({ body }) => body.state === 'done',
    timeoutMs: 30_000,
  })
  expect(sent).toHaveLength(1000)
  expect(new Set(sent).size).toBe(1000)
  expect(done.body).toMatchObject({
    canary: { result: 'passed' },
    progress: {
      selected: 1000,
      sent: 1000,
      resolved: 1000 - fails.size,
      failed: fails.size,
      pending: 0,
      skipped: 0,
    },
  })
  expect(await counted(`letters where status = 'open'`)).toBe(fails.size)
})

test('a redrive command is a message that its consumer can read', async () => {
  const { url: at } = await startApp('dlq-alerter', env())
  const dead = deadBody()
  await publish([died(dead, { coordination: 'orchestrated' })])
  await waitFor(() => counted('letters'), { message: 'it is in', until: (all) => all === 1 })
  await request(at, {
    method: 'POST',
    path: '/redrives',
    body: { selection: { all: true }, ...who },
  })
  const [row] = await waitFor(() => postgres.query('select * from outbox'), {
    message: 'it is sent',
    until: (rows) => rows.length === 1,
  })
  expect(row?.['destination']).toBe(`${namespace}.redrive/${namespace}.inventory-service.redrive`)
  const reading = fromHeaders('rabbitmq', row?.['headers'] as Record<string, string>)
  expect(reading).toMatchObject({
    ok: true,
    envelope: { type: 'message.redrive.v1', subject: dead.messageId, coordination: 'orchestrated' },
  })
})

test('SIGTERM ends it in order, with exit code 0', async () => {
  const { child, url: at } = await startApp('dlq-alerter', env())
  expect(await (await fetch(`${at}/metrics`)).text()).toContain('edp_dead_letters_total')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})
