import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { z } from 'zod'
import { type Replay, replaySagas } from './refinement.ts'

/** The databases that the books are read from, each as a user who may read all of it. */
export interface DatabaseUrls {
  orders: string
  inventory: string
  payments: string
  /** Left out where facts were made up: those are counted too. */
  statistics?: string
}

/** One line of the books: two figures that must be equal. */
export interface BookLine {
  /** What is compared, and between whom. */
  name: string
  expected: number
  actual: number
}

/** The books of the whole system. */
export interface Books {
  lines: BookLine[]
  /** Orders that have not ended yet: while there are some, money and stock are on their way. */
  underWay: number
  orders: Record<string, number>
  /** Sagas that are not what their log says, and how. */
  sagaProblems: string[]
  balanced: boolean
}

const count = z.array(z.object({ name: z.string(), value: z.coerce.number() }))
const totals = z.record(
  z.string(),
  z.object({ capturedMinor: z.number(), refundedMinor: z.number() }),
)

const ordersByStatus = `select status as name, count(*) as value from orders group by status`
const confirmedByCurrency = `select currency as name, sum(amount_minor) as value
  from orders where status = 'confirmed' group by currency`
const heldByCurrency = `select currency as name, sum(amount_minor) as value
  from payments where status in ('captured', 'refunding', 'refund_failed') group by currency`
const stockFigures = `
  select 'on_hand' as name, coalesce(sum(on_hand), 0) as value from stock
  union all select 'reserved', coalesce(sum(reserved), 0) from stock
  union all select 'received', coalesce(sum(quantity), 0) from stock_receipts
  union all select r.status, coalesce(sum((line ->> 'quantity')::bigint), 0)
    from reservations r cross join json_array_elements(r.lines) line group by r.status`
// What a saga ended in is what its order ended in, and each orchestrated order has one. While both are under way, a person may be
// waited for, there is nothing to compare.
const contradictions = `select 'contradictions' as name, count(*) as value
  from (select * from orders where coordination = 'orchestrated') o full join saga s on s.id = o.order_id
  where (o.status, s.status) is distinct from ('confirmed', 'completed')
    and (o.status, s.status) is distinct from ('cancelled', 'compensated')
    and (o.status in ('pending', 'cancelling')
      and s.status in ('running', 'compensating', 'fencing', 'needs_human')) is not true`
const cancelledByReason = `select cancel_reason as name, count(*) as value from orders where status = 'cancelled' group by cancel_reason`
const tallies = `
  select kind as name, sum(orders) as value from tallies group by kind
  union all select kind || ': ' || label, sum(case kind when 'confirmed' then amount_minor else orders end)
    from tallies where kind <> 'placed' group by kind, label`
const outboxRows = `select 'outbox' as name, count(*) as value from outbox`

/**
 * Reads the books (no money and no stock is created or lost) from every database and from the gateway's own ledger. They
 * hold for a system at rest; `underWay` says whether it is.
 * @throws Error when a database or the gateway does not answer
 */
export async function readBooks(databases: DatabaseUrls, gatewayUrl: string): Promise<Books> {
  const orders = await readFigures(databases.orders, [ordersByStatus])
  const sagas = await readFigures(databases.orders, [contradictions])
  const confirmed = await readFigures(databases.orders, [confirmedByCurrency])
  const held = await readFigures(databases.payments, [heldByCurrency])
  const stock = await readFigures(databases.inventory, [stockFigures])
  const gateway = await readGateway(gatewayUrl)
  const lines: BookLine[] = []
  const currencies = new Set([...Object.keys(gateway), ...confirmed.keys(), ...held.keys()])
  for (const currency of [...currencies].toSorted()) {
    const kept = gateway[currency] ?? { capturedMinor: 0, refundedMinor: 0 }
    const net = kept.capturedMinor - kept.refundedMinor
    lines.push(
      line(
        `${currency}: gateway captured − refunded = confirmed orders`,
        at(confirmed, currency),
        net,
      ),
      line(`${currency}: gateway captured − refunded = payments held`, at(held, currency), net),
    )
  }
  lines.push(
    line(
      'stock: on hand + shipped = received',
      at(stock, 'received'),
      at(stock, 'on_hand') + at(stock, 'shipped'),
    ),
    line('stock: reserved = open reservations', at(stock, 'held'), at(stock, 'reserved')),
    line('orders: confirmed but not shipped', 0, await unshipped(databases)),
    line('sagas: ended otherwise than their order', 0, at(sagas, 'contradictions')),
    line('outboxes: messages not published', 0, await unpublished(databases)),
  )
  lines.push(...(await statisticsLines(databases, { orders, gateway })))
  const underWay = at(orders, 'pending') + at(orders, 'cancelling')
  const equal = lines.every((one) => one.expected === one.actual)
  return {
    lines,
    underWay,
    orders: Object.fromEntries(orders),
    sagaProblems: [],
    balanced: equal && underWay === 0,
  }
}

/**
 * Reads the books until they balance or the time is over, and then has every saga decided again from its log; the last reading
 * is the answer. `replay` decides them where other versions of the order-service run than that of this repository.
 */
export async function settleBooks(
  databases: DatabaseUrls,
  gatewayUrl: string,
  timeoutMs: number,
  replay: () => Promise<Replay> = () => replaySagas(databases.orders),
): Promise<Books> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const books = await readBooks(databases, gatewayUrl)
    if (books.balanced || Date.now() >= deadline) return withSagas(books, await replay())
    await sleep(200)
  }
}

function withSagas(books: Books, { sagas, problems }: Replay): Books {
  const disagreeing = new Set(problems.map((problem) => problem.split(':', 1)[0]))
  return {
    ...books,
    lines: [
      ...books.lines,
      line('sagas: their log, decided again = their row', sagas, sagas - disagreeing.size),
    ],
    sagaProblems: problems,
    balanced: books.balanced && problems.length === 0,
  }
}

/** The books as a table for people. */
export function formatBooks(books: Books): string {
  const width = Math.max(...books.lines.map((one) => one.name.length))
  const rows = books.lines.map((one) => {
    const sign = one.expected === one.actual ? '=' : '≠'
    // As the name says it: what is, then what it has to be.
    return `  ${one.name.padEnd(width)}  ${String(one.actual).padStart(12)} ${sign} ${one.expected}`
  })
  const orders = Object.entries(books.orders)
    .map(([status, n]) => `${n} ${status}`)
    .join(', ')
  const verdict = books.balanced
    ? 'The books balance.'
    : books.underWay > 0
      ? `The books are open: ${books.underWay} orders are under way.`
      : 'THE BOOKS DO NOT BALANCE.'
  const problems = books.sagaProblems.slice(0, 5).map((problem) => `  ${problem}`)
  return [`  orders: ${orders || 'none'}`, ...rows, ...problems, `  ${verdict}`].join('\n')
}

function line(name: string, expected: number, actual: number): BookLine {
  return { name, expected, actual }
}

function at(figures: ReadonlyMap<string, number>, name: string): number {
  return figures.get(name) ?? 0
}

/** What the statistics say, which know only what the orders' facts said, against the orders and the money. */
async function statisticsLines(
  databases: DatabaseUrls,
  { orders, gateway }: { orders: Map<string, number>; gateway: z.infer<typeof totals> },
): Promise<BookLine[]> {
  if (databases.statistics === undefined) return []
  const counted = await readFigures(databases.statistics, [tallies])
  const reasons = await readFigures(databases.orders, [cancelledByReason])
  const placed = [...orders.values()].reduce((sum, value) => sum + value, 0)
  return [
    line('statistics: placed = orders', placed, at(counted, 'placed')),
    ...(['confirmed', 'cancelled'] as const).map((status) =>
      line(`statistics: ${status} = orders`, at(orders, status), at(counted, status)),
    ),
    ...[...reasons].map(([reason, of]) =>
      line(`statistics: cancelled, ${reason} = orders`, of, at(counted, `cancelled: ${reason}`)),
    ),
    ...Object.entries(gateway).map(([currency, { capturedMinor, refundedMinor }]) =>
      line(
        `${currency}: revenue in the statistics = gateway captured − refunded`,
        capturedMinor - refundedMinor,
        at(counted, `confirmed: ${currency}`),
      ),
    ),
  ]
}

async function unpublished(databases: DatabaseUrls): Promise<number> {
  const all = await Promise.all(
    Object.values(databases).map((url: string) => readFigures(url, [outboxRows])),
  )
  return all.reduce((sum, figures) => sum + at(figures, 'outbox'), 0)
}

async function unshipped(databases: DatabaseUrls): Promise<number> {
  const confirmed = await readFigures(databases.orders, [
    `select 'orders' as name, count(*) as value from orders where status = 'confirmed'`,
  ])
  const shipped = await readFigures(databases.inventory, [
    `select 'orders' as name, count(*) as value from reservations where status = 'shipped'`,
  ])
  return at(confirmed, 'orders') - at(shipped, 'orders')
}

async function readFigures(url: string, queries: string[]): Promise<Map<string, number>> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 })
  await client.connect()
  try {
    const figures = new Map<string, number>()
    for (const query of queries) {
      const { rows } = await client.query(query)
      for (const row of count.parse(rows)) figures.set(row.name, row.value)
    }
    return figures
  } finally {
    await client.end()
  }
}

async function readGateway(url: string): Promise<z.infer<typeof totals>> {
  const response = await fetch(`${url}/ledger/totals`, { signal: AbortSignal.timeout(10_000) })
  if (!response.ok) throw new Error(`${url}/ledger/totals was answered with ${response.status}`)
  return z.object({ totals }).parse(await response.json()).totals
}
