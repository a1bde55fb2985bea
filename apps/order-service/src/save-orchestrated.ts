import { enqueue } from '@edp/outbox'
import type { Tx } from '@edp/runtime'
import { countSagaLog, insertSagaLog, saveSagas } from '@edp/saga/postgres'
import { saveOrders } from './db/orders.ts'
import { insertTimeline } from './db/timeline.ts'
import { countEnded } from './metrics.ts'
import type { Orchestrated } from './orchestrate.ts'
import { serviceName } from './service-name.ts'
import { detailOfSent, sent, type TimelineEntry } from './timeline.ts'

/** A decision that came from no message: a timer's, a customer's, an operator's. */
export interface OwnDecision extends Orchestrated {
  /** What led to it, for the order's timeline. */
  readonly happened: readonly TimelineEntry[]
  readonly traceparent: string
}

/** Writes and sends what was decided outside of the pipeline, one statement a table. */
export function saveOrchestrated(
  tx: Tx,
  decisions: readonly OwnDecision[],
  { namespace, now }: { namespace: string; now: Date },
): void {
  saveSagas(
    tx,
    decisions.map((one) => one.saga),
  )
  insertSagaLog(
    tx,
    decisions.flatMap((one) => one.log),
  )
  saveOrders(
    tx,
    decisions.filter((one) => one.orderChanged).map((one) => one.order),
  )
  const timeline = decisions.flatMap(({ happened, messages, order, traceparent }) => {
    const { coordination, priority } = order
    const origin = { source: serviceName, namespace, now, traceparent, coordination, priority }
    const composed = enqueue(tx, messages, origin)
    return [...happened, ...composed.map((one) => sent(one, now, detailOfSent(one, order)))]
  })
  insertTimeline(tx, timeline)
}

/** Counts decisions whose transaction is committed. */
export function countOrchestrated(decisions: readonly OwnDecision[]): void {
  for (const { log } of decisions) countSagaLog(log)
  countEnded(decisions.filter((one) => one.orderChanged).map((one) => one.order))
}
