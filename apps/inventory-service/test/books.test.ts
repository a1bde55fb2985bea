import type { IncomingMessage, Pipeline } from '@edp/messaging'
import { type Random, seededRandom } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { confirmed, newOrderId, placed, refunded, release, reserve, type Wanted } from './given.ts'
import { type Inventory, openInventory } from './inventory.ts'

const ordersCount = 300
const skus = ['cup', 'pot', 'beans', 'filter', 'kettle']

type Order = {
  id: string
  orchestrated: boolean
  wanted: Wanted
  fate: 'confirm' | 'undo' | 'undo early' | 'wait'
}

let inventory: Inventory

beforeAll(async () => {
  inventory = await openInventory()
  // Enough for some and not for all, so that both answers occur.
  await inventory.receive(Object.fromEntries(skus.map((sku, index) => [sku, 60 + 40 * index])))
})

afterAll(() => inventory.close())

test('the books of stock balance after messages that were interleaved, duplicated and reordered', async () => {
  const random = seededRandom('books of stock')
  const orders = Array.from({ length: ordersCount }, () => anyOrder(random))
  const first = orders.flatMap((order) => [
    ...copies(random, () => askedFor(order)),
    ...(order.fate === 'undo early' ? copies(random, () => undoOf(order)) : []),
  ])
  await deliver(random, first)

  const second = (
    await Promise.all(
      orders.map(async (order) => {
        const held = (await inventory.reservationOf(order.id)) === 'held'
        if (order.fate === 'confirm' && held) {
          const coordination = order.orchestrated ? 'orchestrated' : 'choreographed'
          return copies(random, () => confirmed(order.id, order.wanted, { coordination }))
        }
        // Nobody confirms what was not reserved: such an order is undone too.
        return order.fate === 'wait' && held ? [] : copies(random, () => undoOf(order))
      }),
    )
  ).flat()
  await deliver(random, [...second, ...first.filter(() => random.next() < 0.3)])

  for (const order of orders) {
    const status = await inventory.reservationOf(order.id)
    const expected = {
      confirm: 'shipped',
      undo: 'released',
      'undo early': 'released',
      wait: 'held',
    }
    expect([undefined, expected[order.fate]]).toContain(status)
  }
  expect(await books()).toEqual([])
  const counted = await inventory.postgres.query(
    'select status, count(*)::int as orders from reservations group by status order by status',
  )
  expect(counted.map((row) => row['status'])).toEqual(['held', 'released', 'shipped'])
})

function anyOrder(random: Random): Order {
  const wanted: Record<string, number> = {}
  for (let line = random.below(4); line >= 0; line -= 1) {
    wanted[random.pick(skus)] = 1 + random.below(4)
  }
  const fate = random.pick(['confirm', 'undo', 'undo early', 'wait'] as const)
  return { id: newOrderId(), orchestrated: random.below(2) === 0, wanted, fate }
}

function askedFor({ id, orchestrated, wanted }: Order): IncomingMessage {
  return orchestrated ? reserve(id, wanted) : placed(id, wanted)
}

function undoOf({ id, orchestrated }: Order): IncomingMessage {
  return orchestrated ? release(id) : refunded(id)
}

/** One to three copies of a message, some of them sent again under a new id. */
function copies(random: Random, make: () => IncomingMessage): IncomingMessage[] {
  const message = make()
  return [message, message, make()].filter((_, index) => index === 0 || random.next() < 0.4)
}

/** Hands everything, shuffled and in batches of any size, to two processes at once. */
async function deliver(random: Random, messages: readonly IncomingMessage[]): Promise<void> {
  const waiting = messages
    .map((message) => ({ message, at: random.next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ message }) => message)
  const work = async (pipeline: Pipeline): Promise<void> => {
    while (waiting.length > 0) {
      await pipeline.handle(waiting.splice(0, 1 + random.below(40)))
    }
  }
  await Promise.all([work(inventory.process()), work(inventory.process())])
}

/** Every SKU whose books do not balance. */
function books(): Promise<Record<string, unknown>[]> {
  return inventory.postgres.query(`
    with line as (
      select r.status, l ->> 'sku' as sku, (l ->> 'quantity')::int as quantity
      from reservations r cross join json_array_elements(r.lines) l
    ), figures as (
      select s.sku, s.on_hand, s.reserved,
        (select coalesce(sum(quantity), 0) from stock_receipts where sku = s.sku) as received,
        (select coalesce(sum(quantity), 0) from line where sku = s.sku and status = 'held') as held,
        (select coalesce(sum(quantity), 0) from line where sku = s.sku and status = 'shipped')
          as shipped
      from stock s
    )
    select * from figures where on_hand + shipped <> received or reserved <> held`)
}
