import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { coordinations, type Order } from '../src/api.ts'
import { formatBooks, settleBooks } from '../src/books.ts'
import { createEdp, type Edp } from '../src/edp.ts'
import { deployFaultyRelease } from '../src/faulty-release.ts'
import {
  makeProduct,
  paymentStatus,
  place,
  placeAndCancel,
  type ScenarioContext,
  untilAllEnded,
  untilEqual,
} from '../src/story.ts'
import { sceneOf } from '../src/reachable-system.ts'
import { startSystem, type System } from '../src/system.ts'

const why = ['--by', 'grace', '--why', 'INC-7: a faulty release was rolled back']

const alerts = z.object({
  alerts: z.array(z.looseObject({ path: z.string(), runbook: z.string() })),
})
const letters = z.object({
  letters: z.array(
    z.looseObject({
      letterId: z.string(),
      groupId: z.string(),
      consumer: z.string(),
      status: z.string(),
    }),
  ),
})
type Letter = z.infer<typeof letters>['letters'][number]
const letter = z.looseObject({
  status: z.string(),
  content: z.looseObject({ body: z.string() }),
  history: z.array(z.looseObject({ by: z.string() })),
})
const group = z.object({
  group: z.looseObject({ open: z.int(), redriving: z.int(), resolved: z.int() }),
})
const deadRows = z.object({
  deadRows: z.array(
    z.looseObject({ database: z.string(), transport: z.string(), id: z.int(), status: z.string() }),
  ),
})
const deadRow = z.looseObject({ payload: z.unknown() })
const sagas = z.object({ sagas: z.array(z.looseObject({ sagaId: z.string() })) })

let system: System
let edp: Edp

beforeAll(async () => {
  system = await startSystem(`operator-${process.pid}`, {
    'dlq-alerter': { ALERT_EVALUATE_INTERVAL_MS: '200' },
  })
  edp = createEdp(system)
})

afterAll(async () => {
  try {
    const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
    expect(books.balanced, formatBooks(books)).toBe(true)
  } finally {
    await system.stop()
  }
})

function contextOf(coordination: ScenarioContext['coordination']): ScenarioContext {
  return { ...sceneOf(system), coordination, tell: () => undefined }
}

describe.each(coordinations)('a person with the command line, %s', (coordination) => {
  it('comes from the alert to a resolved dead letter, and the order ends', async () => {
    const context = contextOf(coordination)
    const sku = await makeProduct(context, 5)
    const rollBack = await deployFaultyRelease(context.ordersDatabaseUrl, sku)
    const order = await place(context, 'tok_ok', [{ sku, quantity: 2 }])
    // Whoever reserves cannot read it, and the statistics cannot. A saga may have asked once more until a look comes.
    const dead = await untilFound(async () => {
      const found = await lettersOf(order)
      return new Set(found.map(serviceOf)).size === 2 ? found : undefined
    })
    await rollBack()
    await untilEqual('groups without a firing alert', 0, async () => {
      const firing = alerts.parse(await edp.run('alerts', 'list', '--status', 'firing')).alerts
      const alerted = new Set(firing.map(({ path }) => path))
      return dead.filter(({ groupId }) => !alerted.has(`/groups/${groupId}`)).length
    })
    const mended = new Set<string>()
    const mend = async (found: readonly Letter[]): Promise<void> => {
      for (const { letterId, status } of found) {
        if (status !== 'open' || mended.has(letterId)) continue
        mended.add(letterId)
        const { content } = letter.parse(await edp.run('letters', 'show', letterId))
        const corrected = content.body.replace('"two"', '2')
        await edp.run('letters', 'edit', letterId, '--body', corrected, ...why)
        await edp.run('letters', 'redrive', letterId, ...why)
      }
    }
    await mend(await lettersOf(order))
    await untilAllEnded(context, [order])
    await untilEqual('letters of the order that are not resolved', 0, async () => {
      const found = await lettersOf(order)
      await mend(found)
      return found.filter(({ status }) => status !== 'resolved').length
    })
    for (const { letterId, groupId } of await lettersOf(order)) {
      const { history } = letter.parse(await edp.run('letters', 'show', letterId))
      expect(history.map(({ by }) => by)).toContain('grace')
      expect(group.parse(await edp.run('groups', 'show', groupId)).group).toMatchObject({
        open: 0,
        redriving: 0,
      })
    }
    expect((await context.api.order(order.orderId)).status).toBe('confirmed')
  })

  it('has a refund that failed for good made again', async () => {
    const context = contextOf(coordination)
    const sku = await makeProduct(context, 5)
    const order = await placeAndCancel(context, 'tok_refund_fails', [{ sku, quantity: 2 }])
    await untilEqual('status of the payment', 'refund_failed', () => paymentStatus(context, order))
    if (coordination === 'choreographed') {
      await context.api.repairCharge(order.orderId)
      await unlessDone(edp.run('payments', 'retry', order.orderId, ...why))
    } else {
      const sagaId = await untilFound(async () => {
        const waiting = await edp.run('sagas', 'list', '--status', 'needs_human')
        return sagas.parse(waiting).sagas.find((one) => one.sagaId === order.orderId)?.sagaId
      })
      await context.api.repairCharge(order.orderId)
      await unlessDone(edp.run('sagas', 'retry', sagaId, ...why))
    }
    await untilAllEnded(context, [order])
    // Its letter needs nobody any more: the refund itself has told so.
    await untilEqual('open letters of the order', 0, async () => {
      const open = await edp.run('letters', 'list', '--key', order.orderId, '--status', 'open')
      return letters.parse(open).letters.length
    })
    expect((await context.api.order(order.orderId)).status).toBe('cancelled')
  })
})

it('a person with the command line repairs a message that could not be published, and the order ends', async () => {
  const context = contextOf('choreographed')
  const sku = await makeProduct(context, 5)
  // Larger than a broker takes, and twice as large as a payload may be.
  const rollBack = await deployFaultyRelease(context.ordersDatabaseUrl, sku, {
    bloatedToBytes: 3_000_000,
  })
  const order = await place(context, 'tok_ok', [{ sku, quantity: 2 }])
  const row = await untilFound(async () => {
    const found = deadRows.parse(await edp.run('outbox', 'dead', '--status', 'dead'))
    const [first] = found.deadRows
    return first && `${first.database}/${first.transport}/${first.id}`
  })
  await rollBack()
  const payload = z
    .record(z.string(), z.unknown())
    .parse(deadRow.parse(await edp.run('outbox', 'show', row)).payload)
  const { padding: _bug, ...repaired } = payload
  await edp.run('outbox', 'put-back', row, '--payload', JSON.stringify(repaired), ...why)
  await untilAllEnded(context, [order])
  expect(deadRows.parse(await edp.run('outbox', 'dead')).deadRows).toEqual([])
  expect((await context.api.order(order.orderId)).status).toBe('confirmed')
})

async function lettersOf({ orderId }: Order): Promise<Letter[]> {
  return letters.parse(await edp.run('letters', 'list', '--key', orderId)).letters
}

function serviceOf({ consumer }: Letter): string {
  return consumer.split('.')[0] ?? consumer
}

async function untilFound<Found>(find: () => Promise<Found | undefined>): Promise<Found> {
  let found: Found | undefined
  await untilEqual('what is looked for', 'is there', async () => {
    found = await find()
    return found === undefined ? 'is not there' : 'is there'
  })
  if (found === undefined) throw new Error('it was there')
  return found
}

/**
 * It goes on asking by itself, so once it is repaired the refund may be made before the person has said so: a conflict; or between what
 * the command reads and what it asks for: a precondition that failed.
 */
async function unlessDone(retry: Promise<unknown>): Promise<void> {
  await retry.catch((error: unknown) => {
    if (!/"status":(409|412)/.test(String(error))) throw error
  })
}
