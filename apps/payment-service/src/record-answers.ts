import {
  type Outgoing,
  outgoing,
  type PaymentCapturedV1,
  type PaymentDeclinedV1,
  type PaymentRefundedV1,
  paymentCapturedV1,
  paymentDeclinedV1,
  paymentRefundedV1,
} from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import { counter, createGroupCommit, type Database, type Tx, unreachable } from '@edp/runtime'
import { type LedgerRow, lockSteps, saveSteps, settle } from '@edp/saga/participant'
import { originOf } from './cause.ts'
import { chargeStep } from './charge-step.ts'
import { lockPayments, updatePayments } from './db/payments.ts'
import {
  cancelledCode,
  type Outcome,
  type Payment,
  type RetryPolicy,
  settleCharge,
  settleVoid,
} from './domain/payment.ts'
import type { GatewayAnswer, Record } from './gateway-calls.ts'

export interface RecordOptions {
  database: Pick<Database, 'transaction'>
  source: string
  namespace: string
  claimLeaseMs: number
  retryPolicy: Omit<RetryPolicy, 'jitter'>
}

const outcomes = counter('edp_payment_outcomes_total', 'What calls of the gateway came to', [
  'outcome',
])

/**
 * The second transaction of every call: writes down what the gateway said, with the step of the saga and the event.
 * Answers that come while one transaction is under way share the next.
 */
export function recordAnswers(options: RecordOptions): Record {
  return createGroupCommit<GatewayAnswer, Payment | undefined>({
    // A second lane halved the groups, and with them each order's share of a transaction, for no gain in throughput.
    lanes: 1,
    groupMax: 200,
    run: async (answers) => {
      const settled = await options.database.transaction((tx) => settleAll(tx, answers, options))
      for (const { result } of settled) outcomes.inc({ outcome: result })
      return settled.map((one) => one.next)
    },
  })
}

interface Settled {
  /** For the metrics; `late` is an answer that counts no more. */
  readonly result: Outcome['kind'] | 'again' | 'late'
  /** To be called for again at once. */
  readonly next: Payment | undefined
}

async function settleAll(
  tx: Tx,
  answers: readonly GatewayAnswer[],
  options: RecordOptions,
): Promise<Settled[]> {
  const orderIds = [...new Set(answers.map((answer) => answer.orderId))].toSorted()
  // In the order of the transaction rule, in one round trip. The undo of an order holds its step while it waits for the
  // payment, so who took the payment first would deadlock with it.
  const [, payments] = await Promise.all([
    lockSteps(
      tx,
      orderIds.map((orderId) => chargeStep(orderId, 'do')),
    ),
    lockPayments(tx, orderIds),
  ])
  const changed = new Map<string, Payment>()
  const steps: LedgerRow[] = []
  const sender = { source: options.source, namespace: options.namespace, now: new Date() }
  const settled = answers.map((answer): Settled => {
    const payment = changed.get(answer.orderId) ?? payments.get(answer.orderId)
    const settlement = payment && decide(payment, answer, options)
    if (!settlement) return { result: 'late', next: undefined }
    const { payment: next, outcome } = settlement
    changed.set(answer.orderId, next)
    if (!outcome) return { result: 'again', next: isDueNow(next) ? next : undefined }
    const told = tell(next, outcome)
    steps.push(...told.steps)
    enqueue(tx, [told.message], originOf(next.cause, sender))
    return { result: outcome.kind, next: undefined }
  })
  updatePayments(tx, [...changed.values()], options)
  await saveSteps(tx, steps)
  return settled
}

function decide(payment: Payment, answer: GatewayAnswer, options: RecordOptions) {
  const policy = { ...options.retryPolicy, jitter: Math.random() }
  return answer.call === 'charge'
    ? settleCharge(payment, answer.answer, policy)
    : settleVoid(payment, answer.answer, policy)
}

function isDueNow(payment: Payment): boolean {
  return 'dueInMs' in payment && payment.dueInMs === 0
}

/** What an outcome makes of the steps of the saga, and what the others are told. */
function tell(payment: Payment, outcome: Outcome): { steps: LedgerRow[]; message: Outgoing } {
  const { orderId, amountMinor, currency } = payment
  const done = chargeStep(orderId, 'do')
  switch (outcome.kind) {
    case 'captured': {
      const reply: PaymentCapturedV1 = {
        orderId,
        chargeId: outcome.chargeId,
        amountMinor,
        currency,
      }
      return {
        steps: [settle(done, 'ok', reply)],
        message: outgoing(paymentCapturedV1, orderId, reply),
      }
    }
    case 'declined': {
      const reply: PaymentDeclinedV1 = { orderId, code: outcome.code }
      return {
        steps: [settle(done, 'refused', reply)],
        message: outgoing(paymentDeclinedV1, orderId, reply),
      }
    }
    case 'undone': {
      const reply: PaymentRefundedV1 = { orderId, amountMinor: outcome.refundedMinor, currency }
      const refused: PaymentDeclinedV1 = { orderId, code: cancelledCode }
      const undo = settle(chargeStep(orderId, 'undo'), 'ok', reply)
      return {
        steps: outcome.neverCaptured ? [settle(done, 'refused', refused), undo] : [undo],
        message: outgoing(paymentRefundedV1, orderId, reply),
      }
    }
    default:
      return unreachable(outcome)
  }
}
