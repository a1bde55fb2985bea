import {
  type Contract,
  compose,
  type Direction,
  type Outgoing,
  paymentCaptureRepliedV1,
  paymentRefundRepliedV1,
  type Priority,
  stockReleaseRepliedV1,
  stockReserveRepliedV1,
} from '@edp/event-schemas'
import type { IncomingMessage } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { commandFor, replyTo } from '@edp/saga/participant'
import { amountMinor, cupAndPots } from './given.ts'

// What the participants answer to the commands of an order's saga, each time under a new message id.

const { lines, currency } = cupAndPots

export interface ReplyOptions {
  readonly attempt?: number
  readonly namespace?: string
  /** That of the command, in the participants' answers. */
  readonly priority?: Priority
}

type Step = 'reserve' | 'charge'

/** `ok` to a step, with the result that its participant gives. */
export function ok(
  sagaId: string,
  step: Step,
  direction: Direction,
  options: ReplyOptions = {},
): OutboxRow {
  const command = commandFor({ sagaId, step, direction }, options.attempt ?? 1)
  const charged = { chargeId: 'ch_1', amountMinor, currency }
  const outcome = 'ok'
  const replies = {
    reserve: {
      do: () => replyTo(command, stockReserveRepliedV1, { outcome, result: { lines } }),
      undo: () => replyTo(command, stockReleaseRepliedV1, { outcome, result: { lines } }),
    },
    charge: {
      do: () => replyTo(command, paymentCaptureRepliedV1, { outcome, result: charged }),
      undo: () =>
        replyTo(command, paymentRefundRepliedV1, { outcome, result: { amountMinor, currency } }),
    },
  }
  return rowOf(replies[step][direction](), options)
}

/** A refusal, or a failure, of a step. */
export function not(
  sagaId: string,
  step: Step,
  direction: Direction,
  options: ReplyOptions & {
    readonly outcome: 'refused' | 'failed'
    readonly reason?: string
  },
): OutboxRow {
  const { outcome, reason = 'a-reason' } = options
  const answer = { outcome, reason }
  const command = commandFor({ sagaId, step, direction }, options.attempt ?? 1)
  const contracts = {
    reserve: {
      do: () => replyTo(command, stockReserveRepliedV1, answer),
      undo: () => replyTo(command, stockReleaseRepliedV1, answer),
    },
    charge: {
      do: () => replyTo(command, paymentCaptureRepliedV1, answer),
      undo: () => replyTo(command, paymentRefundRepliedV1, answer),
    },
  }
  return rowOf(contracts[step][direction](), options)
}

let rowIds = 0

function rowOf(message: Outgoing, { namespace = 'test', priority }: ReplyOptions): OutboxRow {
  const contract: Contract = message.contract
  const { id: messageId, ...composed } = compose(message, {
    source: contract.name.startsWith('stock') ? 'inventory-service' : 'payment-service',
    namespace,
    now: new Date(),
    coordination: 'orchestrated',
    causationId: 'a-command',
    priority,
  })
  rowIds += 1
  return { id: rowIds, messageId, ...composed }
}

/** The reply as RabbitMQ delivers it. */
export function deliveredReply(row: OutboxRow): IncomingMessage {
  return {
    transport: 'rabbitmq',
    position: `${row.destination}#${row.id}`,
    headers: row.headers,
    body: Buffer.from(row.payload),
  }
}
