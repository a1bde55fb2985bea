import { newId } from '@edp/event-schemas'
import { createSagaRegistry } from '@edp/saga/postgres'
import { waitFor } from '@edp/testkit'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fulfilmentVersion, type Orchestrator, openOrchestration } from './orchestrator.ts'
import { not, ok } from './replies.ts'
import { get, json, runService } from './running.ts'

// What operators see of sagas and do to them, over HTTP; the participants are played by hand.

let world: Awaited<ReturnType<typeof openOrchestration>>
let one: Orchestrator
let url: string

beforeAll(async () => {
  world = await openOrchestration()
  one = world.process()
  // Its timers sleep: a saga is due when a test says so.
  url = (await runService(world.owner, { SAGA_POLL_INTERVAL_MS: '3600000' })).url
})

beforeEach(() => world.clear())

describe('a refund that fails for good', () => {
  test('waits for a person, keeps the stock, and goes on when an operator asks again', async () => {
    const orderId = await refundFailed()
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'needs_human', step: 'charge' })
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'cancelling' })
    expect(await world.sentFor(orderId)).not.toContain('stock.release #1')
    const seen = await get(url, `/sagas/${orderId}`)
    expect(seen).toMatchObject({
      status: 'needs_human',
      trouble: 'failed',
      cause: { kind: 'cancel', step: 'charge', reason: 'customer-request' },
      remainingSteps: [
        { step: 'charge', direction: 'undo', underWay: true },
        { step: 'reserve', direction: 'undo', underWay: false },
      ],
    })
    expect((await world.timelineOf(orderId)).at(-1)).toMatchObject({
      type: 'payment.refund.replied.v1',
      detail: { outcome: 'failed', note: 'needs-human' },
    })
    const answer = await operate(orderId, 'retry', `"${seen.version}"`)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('etag')).toBe(`"${seen.version + 1}"`)
    expect(await world.sentFor(orderId)).toContain('payment.refund #2')
    await one.handle(ok(orderId, 'charge', 'undo', { attempt: 2 }), ok(orderId, 'reserve', 'undo'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'cancelled' })
    expect(await world.owner.query('select verb, actor, reason from saga_intervention')).toEqual([
      { verb: 'retry', actor: 'ada', reason: 'the gateway is repaired' },
    ])
    const { log } = await get(url, `/sagas/${orderId}`)
    expect(log.find((entry: { actor: string }) => entry.actor === 'operator:ada')).toMatchObject({
      note: 'resent',
      reason: 'the gateway is repaired',
      effects: [{ kind: 'command', command: 'payment.refund.v1', attempt: 2 }],
    })
    await world.expectReplayed()
  })

  test('heals by itself when its answer comes after all, and the operator comes too late', async () => {
    const orderId = await refundFailed()
    const { version } = await get(url, `/sagas/${orderId}`)
    await one.handle(ok(orderId, 'charge', 'undo'))
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'compensating', step: 'reserve' })
    expect((await operate(orderId, 'retry', `"${version}"`)).status).toBe(412)
    await world.expectReplayed()
  })

  test('and retried: the answer to the first attempt after it counts, the second is a duplicate', async () => {
    const orderId = await refundFailed()
    expect((await operate(orderId, 'retry', await etagOf(orderId))).status).toBe(200)
    await one.handle(ok(orderId, 'charge', 'undo', { attempt: 1 }))
    await one.handle(ok(orderId, 'charge', 'undo', { attempt: 2 }))
    expect((await world.logOf(orderId)).slice(-2)).toEqual([
      'payment-service: undone',
      'payment-service: duplicate',
    ])
    await world.expectReplayed()
  })
})

describe('an undo that nobody answers', () => {
  test('is shown to a person after its limit, is sent on, and heals', async () => {
    const orderId = await one.place()
    await one.cancel(orderId)
    await world.owner.query('update saga set silent_ms = 3600000')
    await one.due(orderId)
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'needs_human', attempt: 2 })
    const types = (await world.timelineOf(orderId)).map((entry) => entry['type'])
    expect(types).toContain('saga.needs-human')
    await one.due(orderId)
    expect((await world.sentFor(orderId)).at(-1)).toBe('stock.release #3')
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'cancelled' })
  })

  test('is skipped while it is under way: on record, and its late answer changes nothing', async () => {
    const orderId = await refundFailed()
    expect((await operate(orderId, 'skip', await etagOf(orderId))).status).toBe(200)
    expect(await world.sagaOf(orderId)).toMatchObject({ status: 'compensating', step: 'reserve' })
    await one.handle(ok(orderId, 'charge', 'undo'))
    expect((await world.logOf(orderId)).at(-1)).toBe('payment-service: duplicate')
    await one.handle(ok(orderId, 'reserve', 'undo'))
    expect(await get(url, `/sagas/${orderId}`)).toMatchObject({
      status: 'compensated',
      skipped: ['charge'],
      remainingSteps: [],
      endedAt: expect.any(String),
    })
    expect((await world.timelineOf(orderId)).map((entry) => entry['type'])).toContain(
      'operator.skip',
    )
    await world.expectReplayed()
  })
})

describe('an operation', () => {
  test('is done once, however often it is clicked', async () => {
    const orderId = await refundFailed()
    const etag = await etagOf(orderId)
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => operate(orderId, 'retry', etag)),
    )
    const statuses = answers.map((answer) => answer.status)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 412, 412, 412, 412])
    expect(answers.find(({ status }) => status === 412)?.headers.get('content-type')).toContain(
      'application/problem+json',
    )
    expect(await world.owner.query('select verb from saga_intervention')).toHaveLength(1)
  })

  test('without If-Match is 428, with something else in it 400, on no saga 404', async () => {
    const orderId = await one.place()
    expect((await operate(orderId, 'retry')).status).toBe(428)
    for (const etag of ['1', '*', 'W/"1"', '"0"', '"one"']) {
      expect((await operate(orderId, 'retry', etag)).status).toBe(400)
    }
    expect((await operate(newId(), 'retry', '"1"')).status).toBe(404)
    expect((await operate(orderId, 'retry', '"7"')).status).toBe(412)
    expect(await world.logOf(orderId)).toEqual(['customer: started'])
  })

  test.each([
    ['without a reason', { actor: 'ada' }],
    ['without an actor', { reason: 'because' }],
    ['with an empty reason', { actor: 'ada', reason: '' }],
    ['with what is not known', { actor: 'ada', reason: 'because', force: true }],
  ])('%s is 400', async (_, body) => {
    const orderId = await one.place()
    expect((await operate(orderId, 'cancel', '"1"', body)).status).toBe(400)
  })

  test('that is not possible is 409 and leaves no trace', async () => {
    const orderId = await one.place()
    const skipped = await operate(orderId, 'skip', '"1"')
    expect(skipped.status).toBe(409)
    expect((await json(skipped)).detail).toContain('not-skippable')
    await one.handle(ok(orderId, 'reserve', 'do'), ok(orderId, 'charge', 'do'))
    const etag = await etagOf(orderId)
    for (const verb of ['retry', 'skip', 'cancel'] as const) {
      expect((await operate(orderId, verb, etag)).status).toBe(409)
    }
    expect(await world.owner.query('select verb from saga_intervention')).toEqual([])
    expect(await world.logOf(orderId)).toHaveLength(4)
  })

  test('cancel gives an order up, with who did it and why in the log', async () => {
    const orderId = await one.place()
    expect((await operate(orderId, 'cancel', '"1"')).status).toBe(200)
    expect(await world.orderOf(orderId)).toMatchObject({ status: 'cancelling' })
    expect(await get(url, `/sagas/${orderId}`)).toMatchObject({
      status: 'compensating',
      cause: { kind: 'cancel', step: 'reserve', reason: 'the gateway is repaired' },
    })
    await world.expectReplayed()
  })
})

describe('the customer’s cancel', () => {
  test('of an orchestrated order over HTTP: 202, then 200, and 409 behind the pivot', async () => {
    const cancel = (orderId: string) => fetch(`${url}/orders/${orderId}/cancel`, { method: 'POST' })
    const [open, confirmed] = [await one.place(), await one.place()]
    await one.handle(ok(confirmed, 'reserve', 'do'), ok(confirmed, 'charge', 'do'))
    expect((await cancel(open)).status).toBe(202)
    expect((await cancel(open)).status).toBe(200)
    expect((await cancel(confirmed)).status).toBe(409)
  })
})

describe('the list of sagas', () => {
  test('is filtered by status, step and age, and is the same page by page', async () => {
    const ids: string[] = []
    for (let n = 0; n < 5; n += 1) ids.push(await one.place())
    const [first = '', second = ''] = ids
    await one.handle(ok(first, 'reserve', 'do'))
    await one.cancel(second)
    expect(await idsOf('/sagas?status=compensating')).toEqual([second])
    expect(await idsOf('/sagas?step=charge')).toEqual([first])
    expect(await idsOf('/sagas?status=running&step=reserve')).toEqual(ids.slice(2).toReversed())
    const [row] = await world.owner.query('select started_at from saga where id = $1', [ids[2]])
    const then = row?.['started_at'] instanceof Date ? row['started_at'].toISOString() : ''
    expect(await idsOf(`/sagas?olderThan=${then}`)).toEqual([second, first])
    const page = await get(url, '/sagas?limit=2')
    expect(page.nextCursor).toBe(ids[3])
    const rest = await get(url, `/sagas?limit=100&cursor=${page.nextCursor}`)
    expect([...page.sagas, ...rest.sagas].map(({ sagaId }) => sagaId)).toEqual(ids.toReversed())
    expect(rest.nextCursor).toBeNull()
  })

  test.each([
    'status=lost',
    'olderThan=yesterday',
    'olderThan=0000-01-01T00:00:00Z',
    'cursor=1',
    'limit=0',
    'colour=red',
  ])('is 400 for %s', async (query) => {
    expect((await fetch(`${url}/sagas?${query}`)).status).toBe(400)
  })
})

test('nothing that operators see has the payment token in it', async () => {
  const orderId = await one.place()
  await one.handle(ok(orderId, 'reserve', 'do'))
  for (const path of ['/sagas', `/sagas/${orderId}`, `/orders/${orderId}/timeline`]) {
    const text = await (await fetch(`${url}${path}`)).text()
    expect(text).toContain(orderId)
    expect(text).not.toContain('tok_ok')
  }
  expect((await get(url, `/sagas/${orderId}`)).diagram).toContain('stateDiagram-v2')
  expect((await fetch(`${url}/sagas/${newId()}`)).status).toBe(404)
})

describe('a process that does not know a version of live sagas', () => {
  test('is not ready and says which, and how many, until they have ended elsewhere', async () => {
    const ids = [await one.place(), await one.place(), await one.place()]
    const v2 = fulfilmentVersion(2)
    const sagas = { registry: createSagaRegistry([v2]), starts: v2 }
    const { health, url: there, stop } = await runService(world.owner, {}, sagas)
    const report = () => health.readiness().checks['saga versions']
    expect(report()).toEqual({
      status: 'unhealthy',
      detail: 'live sagas of versions that are not registered: order-fulfilment@1 (3)',
    })
    expect((await fetch(`${there}/health/ready`)).status).toBe(503)
    for (const id of ids) await one.handle(not(id, 'reserve', 'do', { outcome: 'refused' }))
    await waitFor(() => report()?.status === 'ok', {
      message: 'the last saga of version 1 has ended',
    })
    expect(await get(there, `/sagas/${ids[0]}`)).toMatchObject({ remainingSteps: null })
    await stop()
  })
})

test('metrics count what sagas do, and what is live', async () => {
  const done = await one.place()
  await one.handle(ok(done, 'reserve', 'do'), ok(done, 'charge', 'do'))
  await one.handle(ok(done, 'charge', 'do'))
  await one.due(await one.place())
  await refundFailed()
  const metrics = () => fetch(`${url}/metrics`).then((response) => response.text())
  const text = await waitFor(metrics, {
    message: 'live sagas are counted',
    until: (all) =>
      all.includes('edp_saga_active{definition="order-fulfilment",status="needs_human"} 1'),
  })
  const definition = 'definition="order-fulfilment"'
  for (const line of [
    `edp_saga_started_total{${definition}} `,
    `edp_saga_finished_total{${definition},status="completed"} `,
    `edp_saga_step_seconds_count{${definition},step="reserve",direction="do"} `,
    `edp_saga_timeouts_total{${definition},step="reserve",note="resent"} `,
    `edp_saga_ignored_inputs_total{note="ended"} `,
    `edp_saga_needs_human_total{${definition},step="charge",direction="undo"} `,
    `edp_saga_active{${definition},status="fencing"} 0\n`,
    `edp_saga_oldest_active_seconds{${definition}} `,
    `edp_saga_timer_lag_seconds{${definition}} `,
  ]) {
    expect(text).toContain(`\n${line}`)
  }
})

async function refundFailed(): Promise<string> {
  const orderId = await one.place()
  await one.handle(ok(orderId, 'reserve', 'do'))
  await one.cancel(orderId)
  await one.handle(not(orderId, 'charge', 'undo', { outcome: 'failed', reason: 'gateway_refused' }))
  return orderId
}

async function etagOf(sagaId: string): Promise<string> {
  return (await fetch(`${url}/sagas/${sagaId}`)).headers.get('etag') ?? ''
}

async function idsOf(path: string): Promise<string[]> {
  const { sagas } = await get(url, path)
  return sagas.map(({ sagaId }: { sagaId: string }) => sagaId)
}

function operate(
  sagaId: string,
  verb: 'retry' | 'skip' | 'cancel',
  etag?: string,
  body: unknown = { actor: 'ada', reason: 'the gateway is repaired' },
): Promise<Response> {
  return fetch(`${url}/sagas/${sagaId}/${verb}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(etag !== undefined && { 'if-match': etag }),
    },
    body: JSON.stringify(body),
  })
}
