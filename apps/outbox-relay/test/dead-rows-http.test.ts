import { compose, newId, orderCancelledV1, outgoing } from '@edp/event-schemas'
import type { TestDatabase } from '@edp/testkit'
import { repositoryRoot, templateDatabase, uniqueNamespace, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { RelayProcess } from './relay-process.ts'

// On the tables and grants of a service, as its migrations make them. Nothing listens at the brokers: what is put back stays in
// the outbox, to be looked at.

const namespace = uniqueNamespace()
const operator = { by: 'ann', why: 'repaired by hand' }
let database: TestDatabase
let relay: RelayProcess
let url: string

beforeAll(async () => {
  database = await templateDatabase({
    role: 'order_service',
    migrations: `${repositoryRoot()}/apps/order-service/migrations`,
  })
  // The ids of these tests were drawn long ago.
  await database.query(`select setval(pg_get_serial_sequence('outbox', 'id'), 1000)`)
  relay = new RelayProcess(database, {
    MESSAGING_NAMESPACE: namespace,
    KAFKA_BROKERS: '127.0.0.1:1',
    RABBITMQ_URL: 'amqp://127.0.0.1:1',
    OUTBOX_DATABASES: JSON.stringify({ orders: database.relayUrl, archive: database.relayUrl }),
  })
  url = await relay.url()
})

afterAll(async () => {
  await relay.stop()
  await database.drop()
})

beforeEach(async () => {
  await database.query('delete from outbox_dead')
  await database.query('delete from outbox')
})

const orderId = newId()
const body = { orderId, customerId: 'c-1', reason: 'customer-request' as const }

/** A row of `order.cancelled.v1` that is dead or waits. */
async function addDead(
  id: number,
  options: { status?: 'dead' | 'waiting'; transport?: 'kafka' | 'rabbitmq'; type?: string } = {},
): Promise<void> {
  const { status = 'dead', transport = 'kafka', type = orderCancelledV1.type } = options
  const message = compose(outgoing(orderCancelledV1, orderId, body), {
    source: 'test',
    namespace,
    now: new Date(),
    coordination: 'orchestrated',
  })
  await database.query(
    `insert into outbox_dead (transport, id, message_id, destination, key, type, payload, headers, created_at, status, error_code, error_message)
     values ($1, $2, $3, $4, $5, $6, $7, $8, now(), $9, 'message-too-large', 'too large')`,
    [
      transport,
      id,
      message.id,
      message.destination,
      orderId,
      type,
      message.payload,
      message.headers,
      status,
    ],
  )
}

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url + path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function post(
  path: string,
  sent: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(sent) })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const pathsOf = ({ body: { errors } }: { body: Record<string, unknown> }) =>
  (errors as { path: string }[]).map(({ path }) => path)

test('pages go through every database and transport once, by id', async () => {
  for (const id of [3, 4, 5]) await addDead(id)
  await addDead(2, { transport: 'rabbitmq' })
  const seen: string[] = []
  let cursor = ''
  do {
    const page = await get(`/dead-rows?limit=3${cursor}`)
    const rows = page.body['deadRows'] as Record<string, unknown>[]
    seen.push(
      ...rows.map(
        (row) => `${String(row['database'])}/${String(row['transport'])}/${String(row['id'])}`,
      ),
    )
    const next = page.body['nextCursor']
    cursor = typeof next === 'string' ? `&cursor=${next}` : ''
  } while (cursor !== '')
  const each = ['kafka/3', 'kafka/4', 'kafka/5', 'rabbitmq/2']
  expect(seen).toEqual(['archive', 'orders'].flatMap((name) => each.map((at) => `${name}/${at}`)))
})

test('a list is filtered by database and status, and shows no payload', async () => {
  await addDead(1)
  await addDead(2, { status: 'waiting' })
  const { body: page } = await get('/dead-rows?database=orders&status=waiting')
  expect(page).toMatchObject({ deadRows: [{ database: 'orders', id: 2, status: 'waiting' }] })
  expect(JSON.stringify(page)).not.toContain('customerId')
})

test('one row shows its payload, headers and error, who waits for it, and for whom it waits', async () => {
  await addDead(1)
  await addDead(2, { status: 'waiting' })
  expect(await get('/dead-rows/orders/kafka/1')).toMatchObject({
    status: 200,
    body: { payload: body, headers: { ce_subject: orderId }, waitingBehind: 1, waitsFor: null },
  })
  expect(await get('/dead-rows/orders/kafka/2')).toMatchObject({ body: { waitsFor: 1 } })
})

test('what is not there or not well-formed is said to be so', async () => {
  expect(await get('/dead-rows/orders/kafka/7')).toMatchObject({
    status: 404,
    body: { type: 'urn:problem:no-such-dead-row' },
  })
  expect(await get('/dead-rows/nowhere/kafka/7')).toMatchObject({
    status: 404,
    body: { type: 'urn:problem:no-such-database' },
  })
  expect(await get('/dead-rows?database=nowhere')).toMatchObject({ status: 404 })
  expect(await get('/dead-rows/orders/pigeon/7')).toMatchObject({ status: 400 })
  expect(await get('/dead-rows/orders/kafka/0')).toMatchObject({ status: 400 })
  expect(await get('/dead-rows?cursor=x&color=red')).toMatchObject({ status: 400 })
  expect(await post('/dead-rows/orders/kafka/7/discard', operator)).toMatchObject({ status: 404 })
  expect(pathsOf(await post('/dead-rows/orders/kafka/7/discard', { by: '' }))).toEqual([
    'body.by',
    'body.why',
  ])
})

test('put back with another payload a row keeps its id, message id, type and key; its followers come too; it is recorded', async () => {
  await addDead(1)
  await addDead(2, { status: 'waiting' })
  const [before] = await database.query('select message_id from outbox_dead where id = 1')
  const payload = { ...body, customerId: 'c-2' }
  const answer = await post('/dead-rows/orders/kafka/1/put-back', { ...operator, payload })
  expect(answer).toMatchObject({ status: 200, body: { id: 1, outcome: 'put-back', followers: 1 } })
  const rows = await database.query('select * from outbox order by id')
  expect(rows).toMatchObject([
    { id: expect.anything(), ...before, key: orderId, type: 'order.cancelled.v1', payload },
    { payload: body },
    {
      destination: `${namespace}.dead-letters`,
      key: before?.['message_id'],
      payload: {
        consumer: 'outbox-relay.orders',
        outcome: 'applied',
        messageId: before?.['message_id'],
      },
      headers: { ce_coordination: 'orchestrated' },
    },
  ])
  expect(rows.map(({ id }) => Number(id)).slice(0, 2)).toEqual([1, 2])
  const logged = await waitFor(
    () => relay.output.split('\n').find((line) => line.includes('operator settled')),
    {
      message: 'a line of the log',
    },
  )
  expect(JSON.parse(logged)).toMatchObject({
    ...operator,
    id: 1,
    verb: 'put-back',
    changed: ['customerId'],
  })
  expect(await post('/dead-rows/orders/kafka/1/put-back', operator)).toMatchObject({ status: 404 })
})

test('a payload that does not fit its contract, or tells of another order, is refused with every problem', async () => {
  await addDead(1)
  await addDead(2, { type: 'order.unheard-of.v1' })
  const send = (id: number, payload: unknown) =>
    post(`/dead-rows/orders/kafka/${id}/put-back`, { ...operator, payload })
  const wrong = await send(1, { orderId: newId(), reason: 'boredom' })
  expect(wrong).toMatchObject({ status: 400, body: { type: 'urn:problem:bad-payload' } })
  expect(pathsOf(wrong)).toEqual([
    'body.payload.orderId',
    'body.payload.customerId',
    'body.payload.reason',
  ])
  expect(pathsOf(await send(2, body))).toEqual(['body.payload'])
  expect(await database.query('select from outbox_dead')).toHaveLength(2)
  // As it was, anything may go back.
  expect(await post('/dead-rows/orders/kafka/2/put-back', operator)).toMatchObject({ status: 200 })
})

test('one that waits cannot be settled by itself; given up, a dead one lets it go', async () => {
  await addDead(1)
  await addDead(2, { status: 'waiting' })
  expect(await post('/dead-rows/orders/kafka/2/put-back', operator)).toMatchObject({ status: 409 })
  const answer = await post('/dead-rows/orders/kafka/1/discard', operator)
  expect(answer).toMatchObject({ status: 200, body: { outcome: 'discarded', followers: 1 } })
  const rows = await database.query('select payload from outbox order by id')
  expect(rows).toMatchObject([{ payload: body }, { payload: { outcome: 'discarded' } }])
})

test('every route is in the OpenAPI document', async () => {
  const { body: document } = await get('/docs/json')
  expect(Object.keys(document['paths'] as object)).toEqual([
    '/dead-rows',
    '/dead-rows/{database}/{transport}/{id}',
    '/dead-rows/{database}/{transport}/{id}/put-back',
    '/dead-rows/{database}/{transport}/{id}/discard',
  ])
})

test.each(['order', 'inventory', 'payment'])(
  'in the database of %s-service the relay may do what it does, and no more',
  async (service) => {
    const migrated = await templateDatabase({
      role: `${service}_service`,
      migrations: `${repositoryRoot()}/apps/${service}-service/migrations`,
    })
    try {
      const grants = await migrated.query(
        `select table_name as on, string_agg(lower(privilege_type), ' ' order by privilege_type) as may
         from information_schema.role_table_grants where grantee = 'relay' group by table_name order by 1`,
      )
      expect(grants).toEqual([
        { on: 'outbox', may: 'delete insert select' },
        { on: 'outbox_dead', may: 'delete insert select update' },
        { on: 'outbox_lease', may: 'delete insert select update' },
      ])
    } finally {
      await migrated.drop()
    }
  },
)
