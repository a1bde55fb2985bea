import type { ComposedMessage } from '@edp/event-schemas'
import { type Random, seededRandom, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  cancelling,
  capture,
  createWorld,
  newOrderId,
  refund,
  reserved,
  type Sent,
  type Work,
  type World,
} from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld(50)
})
afterAll(() => world.close())

const tokens = [
  'tok_ok',
  'tok_ok',
  'tok_ok',
  'tok_declined',
  'tok_slow',
  'tok_timeout_after_charge',
  'tok_5xx_twice',
  'tok_nonsense',
]

type Order = {
  orderId: string
  orchestrated: boolean
  cancelled: boolean
  messages: ComposedMessage[]
}

function randomOrder(random: Random): Order {
  const orderId = newOrderId()
  const token = random.pick(tokens)
  const cancelled = random.below(2) === 0
  const orchestrated = random.below(2) === 0
  const charge = (attempt: number): ComposedMessage =>
    orchestrated ? capture(orderId, token, attempt) : reserved(orderId, token)
  const undo = (attempt: number): ComposedMessage =>
    orchestrated ? refund(orderId, attempt) : cancelling(orderId)
  const messages = [charge(1)]
  if (cancelled) messages.push(undo(1))
  // The same question under a new id, as a saga would send it again.
  if (random.below(4) === 0) messages.push(charge(2))
  if (cancelled && random.below(4) === 0) messages.push(undo(2))
  return { orderId, orchestrated, cancelled, messages }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  const rest = [...items]
  const result: T[] = []
  while (rest.length > 0) result.push(...rest.splice(random.below(rest.length), 1))
  return result
}

/**
 * Two workers, as two processes would be: each message goes to one of them, some go to both, in batches of random sizes, and now and
 * then a worker is stopped and another one started.
 */
async function run(random: Random, messages: readonly ComposedMessage[]): Promise<void> {
  const settings = { GATEWAY_TIMEOUT_MS: '300', CLAIM_LEASE_MS: '400' }
  const workers: [Work, Work] = [await world.startWork(settings), await world.startWork(settings)]
  const pending = [...messages]
  while (pending.length > 0) {
    const batch = pending.splice(0, 1 + random.below(6))
    if (random.below(5) === 0) pending.splice(random.below(pending.length + 1), 0, ...batch)
    const both = random.below(6) === 0
    const which = random.below(2) === 0 ? 0 : 1
    await Promise.all([
      workers[which].deliver(...batch),
      both ? workers[1 - which]?.deliver(...shuffled(random, batch)) : undefined,
    ])
    if (random.below(12) === 0) {
      const stopped = workers[which].stop()
      workers[which] = await world.startWork(settings)
      await stopped
    }
  }
  await waitFor(() => world.db.query('select order_id from payments where due_at is not null'), {
    message: 'no payment is open',
    timeoutMs: 40_000,
    until: (rows) => rows.length === 0,
  })
  for (const worker of workers) await worker.stop()
}

test('however messages, repetitions, stops and faults of the gateway interleave, every order is answered and the books balance', async () => {
  const random = seededRandom('payment interleavings')
  const orders = Array.from({ length: 80 }, () => randomOrder(random))
  const messages = shuffled(
    random,
    orders.flatMap((order) => order.messages),
  )
  await run(random, messages)

  const problems: string[] = []
  for (const order of orders) {
    const sent = await world.sent(order.orderId)
    const replies = sent.filter((message) => message.type.includes('.replied.'))
    const facts = sent.filter((message) => !replies.includes(message))
    const charge = await world.charge(order.orderId)
    const found = [
      ...problemsOf(order, facts, charge),
      ...problemsOfReplies(order, replies, charge),
    ]
    problems.push(...found.map((problem) => `${order.orderId}: ${problem}`))
  }
  expect(problems).toEqual([])
  expect(await gatewayTotals()).toEqual(await tableTotals())
  expect(await world.db.query(`select * from step_ledger where outcome = 'started'`)).toEqual([])
})

/** What is wrong with what was told about an order, compared with what the gateway did. */
function problemsOf(
  order: Order,
  events: readonly Sent[],
  charge: Record<string, unknown> | undefined,
): string[] {
  const problems: string[] = []
  const types = new Set(events.map((event) => event.type))
  for (const type of types) {
    const bodies = events.filter((event) => event.type === type).map(({ body }) => body)
    const answers = new Set(bodies.map((body) => JSON.stringify(body)))
    if (answers.size > 1) problems.push(`${type} says different things: ${[...answers].join()}`)
  }
  const chargeStatus = charge?.['status']
  if (types.has('payment.captured.v1') && types.has('payment.declined.v1')) {
    problems.push('it was told as captured and as declined')
  }
  if (!order.cancelled) {
    const expected = chargeStatus === 'captured' ? 'payment.captured.v1' : 'payment.declined.v1'
    if ([...types].join() !== expected) problems.push(`told ${[...types].join()}, not ${expected}`)
    return problems
  }
  const refunded = events.find((event) => event.type === 'payment.refunded.v1')
  const refundedMinor = charge?.['refundedMinor'] ?? 0
  if (refunded?.body['amountMinor'] !== refundedMinor) {
    problems.push(`not told what went back: ${JSON.stringify(refunded)}`)
  }
  if (chargeStatus === 'captured') problems.push('it is undone and the gateway holds the money')
  const capturedAt = events.findIndex((event) => event.type === 'payment.captured.v1')
  const refundedAt = events.findIndex((event) => event.type === 'payment.refunded.v1')
  if (capturedAt > refundedAt) problems.push('the capture was told after the refund')
  return problems
}

/** What is wrong with what the orchestrator was answered. */
function problemsOfReplies(
  { orchestrated, cancelled }: Order,
  replies: readonly Sent[],
  charge: Record<string, unknown> | undefined,
): string[] {
  if (!orchestrated) return replies.length > 0 ? ['an event was answered as a command'] : []
  const outcomesOf = (direction: string): string[] => {
    const ofStep = replies.filter(({ body }) => body['direction'] === direction)
    return [...new Set(ofStep.map(({ body }) => JSON.stringify([body['outcome'], body['result']])))]
  }
  const [dos, undos] = [outcomesOf('do'), outcomesOf('undo')]
  const problems: string[] = []
  if (dos.length > 1 || undos.length > 1)
    problems.push(`different answers: ${[...dos, ...undos].join()}`)
  if (!cancelled && dos.length !== 1) problems.push('the capture was not answered')
  const result = { amountMinor: charge?.['refundedMinor'] ?? 0, currency: 'EUR' }
  if (cancelled && undos[0] !== JSON.stringify(['ok', result])) {
    problems.push(`the refund was answered ${undos.join()}, not with ${JSON.stringify(result)}`)
  }
  return problems
}

/** What the table of payments says of the money. */
async function tableTotals(): Promise<unknown> {
  const [row] = await world.db.query(
    `select sum(case when status = 'captured' then amount_minor else refunded_minor end)::int as captured,
            sum(refunded_minor)::int as refunded
     from payments`,
  )
  return { totals: { EUR: { capturedMinor: row?.['captured'], refundedMinor: row?.['refunded'] } } }
}

async function gatewayTotals(): Promise<unknown> {
  return (await world.gateway('/ledger/totals')).json()
}
