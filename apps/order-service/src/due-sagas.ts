import { classify, type Database, type Logger, traceparentFrom, type Tx } from '@edp/runtime'
import {
  lockDueSagas,
  lockSagas,
  nameOf,
  readTransportAgeMs,
  type SagaRecord,
} from '@edp/saga/postgres'
import { lockOrders, readLines } from './db/orders.ts'
import { orchestrate, type Orchestrated, type SagaOfOrder, withoutOrder } from './orchestrate.ts'
import type { OrderSagas } from './sagas.ts'
import { countOrchestrated, type OwnDecision, saveOrchestrated } from './save-orchestrated.ts'
import { happened, type TimelineEntry } from './timeline.ts'

/** What `decideDueSagas` needs. */
export interface DueSagasOptions {
  readonly database: Database
  readonly namespace: string
  readonly sagas: OrderSagas
  readonly logger: Logger
}

// A command that has been in the outbox for longer than this is not on its way: RabbitMQ or the relay is away.
const transportPausedAfterMs = 5000
// Of 5,000 orders that waited for a service, each had its command three and four times in the queue: more than half of what it, and
// who got its answers, had to do was for nothing (measured).
const backlog = { sagasMin: 100, silentMs: 5000, heldMs: 60_000 }

/**
 * Tells every saga whose timer is due that it is, one batch in one transaction; gives back how many were decided. Sagas that
 * another process or a message has locked are passed over, and so are those of versions that this process does not know.
 *
 * A batch that fails runs again one by one, so that a broken saga, which stays due and is loud, does not hold up the others.
 */
export async function decideDueSagas(options: DueSagasOptions, batchMax: number): Promise<number> {
  const versions = options.sagas.registry.all.map((one) => nameOf(one.definition, one.version))
  let ids: readonly string[] = []
  try {
    return await decideAll(options, async (tx) => {
      const due = await lockDueSagas(tx, batchMax, versions, backlog)
      ids = due.map((saga) => saga.id)
      return due
    })
  } catch (error) {
    if (classify(error) === 'transient-everything') throw error
    options.logger.warn({ err: error, sagas: ids.length }, 'due sagas failed, going one by one')
  }
  let decided = 0
  for (const id of ids) {
    const alone = decideAll(options, async (tx) =>
      [...(await lockSagas(tx, [id])).values()].filter(isDue),
    )
    decided += await alone.catch((error: unknown) => {
      if (classify(error) === 'transient-everything') throw error
      options.logger.error({ err: error, sagaId: id }, 'a due saga cannot be decided')
      return 0
    })
  }
  return decided
}

function isDue({ state, now }: SagaRecord): boolean {
  return 'dueAt' in state && state.dueAt <= now.getTime()
}

/** Decides the sagas that `lock` gives, in one transaction. */
async function decideAll(
  options: DueSagasOptions,
  lock: (tx: Tx) => Promise<readonly SagaRecord[]>,
): Promise<number> {
  const { database, namespace } = options
  const decisions = await database.transaction(async (tx) => {
    const [due, ageMs] = await Promise.all([lock(tx), readTransportAgeMs(tx, 'rabbitmq')])
    const [first] = due
    if (first === undefined) return []
    const ids = due.map((saga) => saga.id).toSorted()
    const [orders, lines] = await Promise.all([lockOrders(tx, ids), readLines(tx, ids)])
    const transport = ageMs > transportPausedAfterMs ? 'paused' : 'running'
    const decided = due.map((saga) => {
      const order = orders.get(saga.id)
      if (order === undefined) throw withoutOrder(saga.id)
      return decideOne(options, { saga, order, lines: lines.get(saga.id) ?? [] }, transport)
    })
    saveOrchestrated(tx, decided, { namespace, now: first.now })
    return decided
  })
  countOrchestrated(decisions)
  return decisions.length
}

function decideOne(
  { sagas }: DueSagasOptions,
  of: SagaOfOrder,
  transport: 'running' | 'paused',
): OwnDecision {
  const { saga } = of
  const traceparent = traceparentFrom()
  const input = { kind: 'due', version: saga.state.version, transport } as const
  const decided = orchestrate(sagas.registry, of, { input, actor: 'timer', traceparent })
  return { ...decided, traceparent, happened: noticed(saga, decided) }
}

/** What people are told of a timer beside the commands that it sent. */
function noticed(saga: SagaRecord, { log }: Orchestrated): TimelineEntry[] {
  return log.flatMap(({ note, effects }) => [
    ...(note === 'deadline' ? [happened(saga.id, 'deadline.passed', saga.now)] : []),
    ...effects.flatMap((effect) => {
      if (effect.kind !== 'needs-human') return []
      const { step, direction, trouble } = effect
      return [happened(saga.id, 'saga.needs-human', saga.now, { step, direction, trouble })]
    }),
  ])
}
