import { instant } from '@edp/event-schemas'
import { problemSchema, queryNumber } from '@edp/runtime/http'
import type { FastifyPluginCallbackZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Count, TallyQueries } from './db/tallies.ts'

// Postgres knows no later one that JavaScript knows too.
const endOfTime = '9999-12-31T23:59:59.999Z'
const spanQuery = z.strictObject({
  from: instant.default(new Date(0).toISOString()).describe('the first instant that counts'),
  to: instant.default(endOfTime).describe('the first instant that counts no more'),
})
const minutesQuery = z.strictObject({
  cursor: instant.default(endOfTime).describe('nextCursor of the page before'),
  limit: queryNumber(1, 1440).default(60),
})

const money = z.strictObject({ currency: z.string(), amountMinor: z.number(), orders: z.number() })
const figures = {
  placed: z.number(),
  confirmed: z.number(),
  cancelled: z.number(),
  revenue: z.array(money),
  cancellations: z.array(z.strictObject({ reason: z.string(), orders: z.number() })),
}
const totalsView = z.strictObject(figures)
const minutesPage = z.strictObject({
  minutes: z.array(z.strictObject({ minute: instant, ...figures })),
  nextCursor: z.string().nullable(),
})

/** Every route of the service. */
export const routes: FastifyPluginCallbackZod<{ tallies: TallyQueries }> = (
  app,
  { tallies },
  done,
) => {
  app.get(
    '/statistics',
    {
      schema: {
        summary: 'Orders, revenue and cancellations by reason, over some time; by whole minutes',
        querystring: spanQuery,
        response: { 200: totalsView, 400: problemSchema },
      },
    },
    async ({ query: { from, to } }) =>
      figuresOf(await tallies.totals({ from: new Date(from), to: new Date(to) })),
  )

  app.get(
    '/statistics/minutes',
    {
      schema: {
        summary: 'The same for each minute in which something happened, the newest first',
        querystring: minutesQuery,
        response: { 200: minutesPage, 400: problemSchema },
      },
    },
    async ({ query: { cursor, limit } }) => {
      const counts = await tallies.minutes({ before: new Date(cursor), limit })
      const byMinute = Map.groupBy(counts, ({ minute }) => minute.toISOString())
      const minutes = [...byMinute].map(minuteView)
      const last = minutes.length === limit ? minutes.at(-1) : undefined
      return { minutes, nextCursor: last?.minute ?? null }
    },
  )

  done()
}

function minuteView([minute, counts]: [string, readonly Count[]]) {
  return { minute, ...figuresOf(counts) }
}

function figuresOf(counts: readonly Count[]): z.infer<typeof totalsView> {
  const of = (wanted: Count['kind']) => counts.filter(({ kind }) => kind === wanted)
  const sum = (some: readonly Count[]) => some.reduce((all, { orders }) => all + orders, 0)
  const [placed, confirmed, cancelled] = [of('placed'), of('confirmed'), of('cancelled')]
  return {
    placed: sum(placed),
    confirmed: sum(confirmed),
    cancelled: sum(cancelled),
    revenue: confirmed.map(({ label: currency, amountMinor, orders }) => {
      return { currency, amountMinor, orders }
    }),
    cancellations: cancelled.map(({ label: reason, orders }) => ({ reason, orders })),
  }
}
