import {
  type CancelReason,
  type Contract,
  type Outgoing,
  outgoing,
  paymentCaptureV1,
  paymentRefundV1,
  type PricedLine,
  stockReleaseV1,
  stockReserveV1,
} from '@edp/event-schemas'
import { AppError, unreachable } from '@edp/runtime'
import type { Cause, CommandEffect, LocalEffect, LocalOutcome, Note } from '@edp/saga'
import {
  type AdvancedSaga,
  advanceSaga,
  type NewLogEntry,
  type SagaRecord,
  type SagaRegistry,
  type SagaTurn,
} from '@edp/saga/postgres'
import { confirmOrder } from './domain/fulfilment.ts'
import { confirm, finishCancelling, type Order, startCancelling } from './domain/order.ts'
import { orderCancelled, orderCancelling, orderConfirmed } from './order-messages.ts'

/** A saga with its order, both locked: the saga first. */
export interface SagaOfOrder {
  readonly saga: SagaRecord
  readonly order: Order
  readonly lines: readonly PricedLine[]
}

/** What an input made of a saga and its order: to be saved and sent together. */
export interface Orchestrated {
  readonly saga: SagaRecord
  readonly log: readonly NewLogEntry[]
  readonly order: Order
  readonly messages: readonly Outgoing[]
  readonly note: Note
  /** False: nothing but the log has changed. */
  readonly changed: boolean
  readonly orderChanged: boolean
}

const commands: ReadonlyMap<string, Contract> = new Map<string, Contract>([
  [stockReserveV1.type, stockReserveV1],
  [stockReleaseV1.type, stockReleaseV1],
  [paymentCaptureV1.type, paymentCaptureV1],
  [paymentRefundV1.type, paymentRefundV1],
])

/**
 * Decides an input to the saga of an order, and what it means for the order: the pivot confirms its row, the turn gives it up, the
 * end of the undoing cancels it. Pure: the order row is the one that the transaction has locked, so each is a compare-and-set.
 */
export function orchestrate(
  registry: SagaRegistry,
  { saga, order, lines }: SagaOfOrder,
  turn: Omit<SagaTurn, 'local'>,
): Orchestrated {
  let after = order
  const messages: Outgoing[] = []
  const local = ({ action }: LocalEffect): LocalOutcome => {
    if (action !== confirmOrder) throw fault(order, `there is no local action ${action}`)
    const verdict = confirm(after, saga.now)
    if (!verdict.changed) {
      return verdict.note === 'repeated'
        ? { outcome: 'ok' }
        : { outcome: 'refused', reason: verdict.note }
    }
    after = verdict.order
    messages.push(orderConfirmed(verdict.order, lines))
    return { outcome: 'ok' }
  }
  const advanced = advanceSaga(registry, saga, { ...turn, local })
  for (const effect of advanced.effects) {
    switch (effect.kind) {
      case 'command':
        messages.push(commandMessage(saga.id, effect))
        break
      case 'turned': {
        const verdict = startCancelling(after, reasonOf(effect.cause))
        if (verdict.changed) {
          after = verdict.order
          messages.push(orderCancelling(verdict.order))
        } else if (verdict.note !== 'repeated') {
          throw fault(after, `it cannot be given up: ${verdict.note}`)
        }
        break
      }
      case 'ended': {
        if (effect.status === 'completed') break
        const verdict = finishCancelling(after, saga.now)
        if (verdict.changed) {
          after = verdict.order
          messages.push(orderCancelled(verdict.order))
        } else if (verdict.note !== 'repeated') {
          throw fault(after, `it cannot be cancelled: ${verdict.note}`)
        }
        break
      }
      // The saga says so to whoever asks, and its metrics to everybody.
      case 'needs-human':
        break
      default:
        unreachable(effect)
    }
  }
  const { log, note, changed } = advanced
  const orderChanged = after !== order
  return { saga: advanced.saga, log, order: after, messages, note, changed, orderChanged }
}

/** The messages of a saga that has just been started: its first command. */
export function firstCommands({ saga, effects }: AdvancedSaga): Outgoing[] {
  return effects.flatMap((effect) =>
    effect.kind === 'command' ? [commandMessage(saga.id, effect)] : [],
  )
}

/** A command, as its contract wants it. */
function commandMessage(sagaId: string, effect: CommandEffect): Outgoing {
  const { command, step, direction, attempt, payload } = effect
  const contract = commands.get(command)
  if (contract === undefined || direction === 'fence') {
    throw new AppError('unknown-command', `${command} (${direction}) is no command of an order`, {
      retry: 'permanent',
    })
  }
  return outgoing(contract, sagaId, payload, { sagaid: sagaId, step, direction, attempt })
}

/** Why an order is given up, in the words that customers know. Who cancelled it, and why, is in the saga's log. */
function reasonOf(cause: Cause): CancelReason {
  switch (cause.kind) {
    case 'refused':
      return cause.step === 'reserve' ? 'out-of-stock' : 'payment-declined'
    case 'deadline':
      return 'deadline-passed'
    case 'cancel':
      return 'customer-request'
    default:
      return unreachable(cause)
  }
}

/** A saga whose order is not there: they are inserted together, and neither is ever deleted. */
export function withoutOrder(sagaId: string): AppError {
  return new AppError('saga-without-order', `the saga ${sagaId} has no order`, {
    retry: 'permanent',
  })
}

// Saga and order are changed in one transaction only, so they agree unless one was changed behind our back.
function fault(order: Order, reason: string): AppError {
  const message = `the saga and the order ${order.orderId} (${order.status}) do not agree: ${reason}`
  return new AppError('saga-and-order-disagree', message, { retry: 'permanent' })
}
