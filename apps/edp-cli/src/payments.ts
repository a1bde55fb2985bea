import { z } from 'zod'
import { command } from './command.ts'
import { withNext } from './letters.ts'
import { choice, onRecord, paging, requiredText, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { formatTable } from './table.ts'

const paymentStatuses = [
  'requested',
  'captured',
  'declined',
  'voiding',
  'void',
  'refunding',
  'refunded',
  'refund_failed',
] as const
const paymentsPage = z.looseObject({
  payments: z.array(
    z.looseObject({
      orderId: z.string(),
      status: z.string(),
      amountMinor: z.int(),
      refundedMinor: z.int(),
      currency: z.string(),
      attempts: z.int(),
      dueAt: z.string().nullable(),
    }),
  ),
  nextCursor: z.string().nullable(),
})

const list = command({
  name: 'payments list',
  summary: 'payments, the oldest order first',
  options: {
    order: text('ORDER', 'of this order'),
    status: choice(paymentStatuses, 'only those; refund_failed waits for a person'),
    ...paging,
  },
  run: async ({ client, terminal }, _, { order, ...query }) => {
    const { body, document } = await client('payment-service').request(
      paymentsPage,
      'GET',
      '/payments',
      { query: { ...query, orderId: order } },
    )
    const table = formatTable(
      body.payments,
      [
        ['ORDER', (payment) => payment.orderId],
        ['STATUS', (payment) => payment.status],
        ['AMOUNT', (payment) => `${(payment.amountMinor / 100).toFixed(2)} ${payment.currency}`],
        ['REFUNDED', (payment) => (payment.refundedMinor / 100).toFixed(2)],
        ['ATTEMPTS', (payment) => payment.attempts],
        ['NEXT TRY', (payment) => payment.dueAt],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.payments.length === 0 ? 'no payments' : withNext(table, body.nextCursor),
    }
  },
})

const retry = command({
  name: 'payments retry',
  summary: 'tries a refund again that had failed for good',
  args: { order: requiredText('ORDER', 'the id of the order') },
  options: onRecord,
  run: async ({ client, terminal }, { order }, { by = terminal.user, why }) => {
    const { document } = await client('payment-service').request(
      z.unknown(),
      'POST',
      pathOf`/payments/${order}/retry`,
      { body: { by, why } },
    )
    return { document: document ?? null, text: `the refund of ${order} is due again` }
  },
})

/** Commands of payments. */
export const paymentCommands = [list, retry]
