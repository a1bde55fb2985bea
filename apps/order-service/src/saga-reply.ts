import type { SagaReply } from '@edp/event-schemas'
import type { MessageHandler } from '@edp/messaging'
import type { Reply } from '@edp/saga'
import { isIgnoredNote, type SagaRegistry } from '@edp/saga/postgres'
import type { Order } from './domain/order.ts'
import { orchestrate, withoutOrder } from './orchestrate.ts'
import type { OrderTables } from './rows.ts'
import { seen, type TimelineDetail } from './timeline.ts'

/**
 * A participant's answer, folded into the saga that asked. An answer that comes twice, late, or to a saga that has ended
 * changes nothing and is noted; so is one to a saga that nobody here knows. One to a saga of a version that this process does
 * not know is neither handled nor acknowledged: the consumer pauses (the process is not ready either), and the broker hands it
 * to another process when this one ends.
 * @param check refuses an answer that cannot be right
 */
export function sagaReply<Body extends SagaReply>(
  registry: SagaRegistry,
  check: (order: Order, body: Body) => void = () => undefined,
): MessageHandler<Body, OrderTables> {
  return {
    keys: ({ body: { sagaId } }) => ({ sagas: [sagaId], orders: [sagaId], lines: [sagaId] }),

    decide: (message, rows, now) => {
      const { body, envelope } = message
      const { sagaId } = body
      const detail = detailOf(body)
      const saga = rows.sagas.get(sagaId)
      if (saga === undefined) {
        return { changed: { timeline: [seen(message, now, { detail, note: 'unknown-saga' })] } }
      }
      const order = rows.orders.get(sagaId)
      const lines = rows.lines.get(sagaId)
      if (order === undefined || lines === undefined) throw withoutOrder(sagaId)
      check(order, body)
      const turn = {
        input: inputOf(body),
        actor: envelope.source,
        traceparent: envelope.traceparent,
      }
      const done = orchestrate(registry, { saga, order, lines: lines.lines }, turn)
      const { note } = done
      const noted = isIgnoredNote(note) || note === 'needs-human' ? { detail, note } : { detail }
      return {
        changed: {
          sagas: [done.saga],
          sagaLog: done.log,
          timeline: [seen(message, now, noted)],
          ...(done.orderChanged && { orders: [done.order] }),
        },
        messages: done.messages,
      }
    },
  }
}

function inputOf({ step, direction, outcome, reason, result }: SagaReply): Reply {
  return {
    kind: 'reply',
    step,
    direction,
    outcome,
    ...(reason !== undefined && { reason }),
    ...(result !== undefined && { result }),
  }
}

function detailOf({
  step,
  direction,
  attempt,
  outcome,
  reason,
  result,
}: SagaReply): TimelineDetail {
  return {
    step,
    direction,
    attempt,
    outcome,
    ...(reason !== undefined && { reason }),
    ...(result !== undefined && { result }),
  }
}
