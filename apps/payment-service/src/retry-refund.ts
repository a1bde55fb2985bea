import type { DueWork } from '@edp/messaging'
import type { Database } from '@edp/runtime'
import { lockPayments, updatePayments } from './db/payments.ts'
import { type Payment, type PaymentStatus, retryRefund } from './domain/payment.ts'
import { dueWorkConsumer } from './refund-letter.ts'

/** What became of asking for a refund once more. */
export type Retried =
  | { readonly kind: 'due' }
  | { readonly kind: 'unknown-payment' }
  | { readonly kind: 'nothing-failed'; readonly status: PaymentStatus }

// Nobody has it in hand after the commit: it is due for whoever looks first.
const unclaimed = { claimLeaseMs: 0 }

/** Has a refund that did not succeed tried again at once. `dueNow` is told after the commit. */
export async function retryFailedRefund(
  orderId: string,
  options: { database: Pick<Database, 'transaction'>; dueNow: () => void },
): Promise<Retried> {
  const retried = await options.database.transaction(async (tx): Promise<Retried> => {
    const payment = (await lockPayments(tx, [orderId])).get(orderId)
    if (payment === undefined) return { kind: 'unknown-payment' }
    const retrying = retryRefund(payment, null)
    if (retrying === undefined) return { kind: 'nothing-failed', status: payment.status }
    updatePayments(tx, [retrying], unclaimed)
    return { kind: 'due' }
  })
  if (retried.kind === 'due') options.dueNow()
  return retried
}

/** The refunds that dead letters stand for, to be redriven in the same way. */
export function refundDueWork(dueNow: () => void): DueWork {
  return {
    consumer: dueWorkConsumer,
    lock: async (tx, orderIds) => {
      const payments = await lockPayments(tx, orderIds)
      return new Set([...payments.values()].filter(hasLetter).map(({ orderId }) => orderId))
    },
    retry: async (tx, letters) => {
      const payments = await lockPayments(
        tx,
        letters.map(({ messageId }) => messageId),
      )
      const retried = letters.flatMap(({ messageId, redriveId }) => {
        const payment = payments.get(messageId)
        return payment ? [redriven(payment, redriveId)] : []
      })
      updatePayments(tx, retried, unclaimed)
    },
    discard: async (tx, orderIds) => {
      const payments = await lockPayments(tx, orderIds)
      updatePayments(tx, [...payments.values()].map(withoutLetter), unclaimed)
    },
    afterCommit: dueNow,
  }
}

function hasLetter({ letter }: Payment): boolean {
  return letter !== undefined
}

/** One that is being tried already goes on, for this redrive too. */
function redriven(payment: Payment, redriveId: string): Payment {
  return retryRefund(payment, redriveId) ?? { ...payment, letter: { redriveId } }
}

// The money is still owed: it goes on trying by itself.
function withoutLetter(payment: Payment): Payment {
  const { letter: _, ...rest } = payment
  return rest
}
