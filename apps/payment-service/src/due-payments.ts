import { createLoop, type Database, gauge, type Logger, type Loop } from '@edp/runtime'
import { claimDuePayments } from './db/payments.ts'
import type { PaymentQueries } from './db/payment-queries.ts'
import type { GatewayCalls } from './gateway-calls.ts'

const claimMax = 200

const openPayments = gauge('edp_payments_open', 'Payments for which the gateway is to be called', [
  'status',
])
const lagSeconds = gauge(
  'edp_payment_due_lag_seconds',
  'How long the oldest due payment has been due',
)

/**
 * Resumes what a crash left between two transactions, and repeats calls whose outcome is unknown: takes what is due, as
 * far as there is room for it. Two processes get different payments.
 */
export function duePayments(options: {
  database: Pick<Database, 'transaction'>
  calls: GatewayCalls
  claimLeaseMs: number
  pollIntervalMs: number
  logger: Logger
}): Loop {
  const { database, calls, claimLeaseMs, pollIntervalMs, logger } = options
  return createLoop({
    name: 'due-payments',
    intervalMs: pollIntervalMs,
    logger,
    work: async () => {
      const limit = Math.min(claimMax, calls.room)
      if (limit <= 0) return undefined
      const payments = await database.transaction((tx) =>
        claimDuePayments(tx, { limit, claimLeaseMs }),
      )
      calls.submit(payments)
      return payments.length === limit ? 'again' : undefined
    },
  })
}

/** Measures what is open, from the small index of what is due. */
export function openPaymentMetrics(options: { queries: PaymentQueries; logger: Logger }): Loop {
  const { queries, logger } = options
  return createLoop({
    name: 'open-payment-metrics',
    intervalMs: 5000,
    logger,
    work: async () => {
      const open = await queries.countOpen()
      openPayments.reset()
      for (const { status, count } of open) openPayments.set({ status }, count)
      lagSeconds.set(Math.max(0, ...open.map((one) => one.lagSeconds)))
    },
  })
}
