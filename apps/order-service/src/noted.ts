import type { MessageHandler } from '@edp/messaging'
import type { OrderTables } from './rows.ts'
import { seen, type TimelineDetail } from './timeline.ts'

/** For a message that decides nothing here and is only noted in the order's timeline. It needs no row, so it locks none. */
export function noted<Body extends { readonly orderId: string }>(
  detailOf?: (body: Body) => TimelineDetail,
): MessageHandler<Body, OrderTables> {
  return {
    keys: () => ({}),
    decide: (message, _rows, now) => {
      const options = detailOf ? { detail: detailOf(message.body) } : {}
      return { changed: { timeline: [seen(message, now, options)] } }
    },
  }
}
