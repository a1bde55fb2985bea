import {
  type CommandHeaders,
  type Direction,
  type Outgoing,
  type PaymentDeclinedV1,
  type PaymentRefundedV1,
} from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import { counter, createGroupCommit, type Database, type Tx, unreachable } from '@edp/runtime'
import { type LedgerRow, lockSteps, saveSteps, settle } from '@edp/saga/participant'
import { type CaptureAnswer, captureFact } from './capture-payment.ts'
import { commandBehind, originOf } from './cause.ts'
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
import { captureReply, refundFailedReply, refundReply } from './replies.ts'
import { refundLetter, refundResolved } from './refund-letter.ts'
import { undoFact } from './undo-payment.ts'

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
 * The second transaction of every call: writes down what the gateway said, with the step of the saga, the event, and the
 * reply where a command asked for it. Answers that come while one transaction is under way share the next.
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
    const { payment: next, outcome, resolved } = settlement
    changed.set(answer.orderId, next)
    const origin = originOf(next.cause, sender)
    if (resolved) enqueue(tx, [refundResolved(next.orderId, resolved)], origin)
    if (!outcome) return { result: 'again', next: isDueNow(next) ? next : undefined }
    const told = tell(next, outcome, sender.now)
    steps.push(...told.steps)
    enqueue(tx, told.messages, origin)
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

/** What an outcome makes of the steps of the saga, what everybody is told, and what a command is answered. */
function tell(
  payment: Payment,
  outcome: Outcome,
  now: Date,
): { steps: LedgerRow[]; messages: Outgoing[] } {
  const { orderId, amountMinor, currency, cause } = payment
  const done = chargeStep(orderId, 'do')
  const reply = (direction: Direction, make: (command: CommandHeaders) => Outgoing): Outgoing[] => {
    const command = commandBehind(cause, orderId, direction)
    return command ? [make(command)] : []
  }
  switch (outcome.kind) {
    case 'captured':
    case 'declined': {
      const answer: CaptureAnswer =
        outcome.kind === 'captured'
          ? {
              kind: 'captured',
              body: { orderId, chargeId: outcome.chargeId, amountMinor, currency },
            }
          : { kind: 'declined', body: { orderId, code: outcome.code } }
      return {
        steps: [settle(done, answer.kind === 'captured' ? 'ok' : 'refused', answer.body)],
        messages: [captureFact(answer), ...reply('do', (command) => captureReply(command, answer))],
      }
    }
    case 'undone': {
      const body: PaymentRefundedV1 = { orderId, amountMinor: outcome.refundedMinor, currency }
      const refused: PaymentDeclinedV1 = { orderId, code: cancelledCode }
      const undo = settle(chargeStep(orderId, 'undo'), 'ok', body)
      return {
        steps: outcome.neverCaptured ? [settle(done, 'refused', refused), undo] : [undo],
        messages: [undoFact(body), ...reply('undo', (command) => refundReply(command, body))],
      }
    }
    // Nothing is settled by it: it is tried again until the undo has its answer.
    case 'refund-failed': {
      const letter = refundLetter(payment, outcome.failure, now)
      // A capture that is being undone on its own account is answered when that is over.
      const isAsked = !('declineAs' in payment) || payment.declineAs === null
      return { steps: [], messages: [letter, ...(isAsked ? reply('undo', refundFailedReply) : [])] }
    }
    default:
      return unreachable(outcome)
  }
}
