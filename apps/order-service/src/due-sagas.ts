import { type Database, type Logger, traceparentFrom } from '@edp/runtime'
import { lockDueSagas, nameOf, readTransportAgeMs, type SagaRecord } from '@edp/saga/postgres'
import { lockOrders, readLines } from './db/orders.ts'
import { orchestrate, type Orchestrated, type SagaOfOrder } from './orchestrate.ts'
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

/**
 * Tells every saga whose timer is due that it is, one batch in one transaction; gives back how many there were. Sagas that
 * another process or a message has locked are passed over, and so are those of versions that this process does not know.
 */
export async function decideDueSagas(options: DueSagasOptions, batchMax: number): Promise<number> {
  const { database, namespace, sagas } = options
  const versions = sagas.registry.all.map((one) => nameOf(one.definition, one.version))
  const decisions = await database.transaction(async (tx) => {
    const [due, ageMs] = await Promise.all([
      lockDueSagas(tx, batchMax, versions),
      readTransportAgeMs(tx, 'rabbitmq'),
    ])
    const [first] = due
    if (first === undefined) return []
    const ids = due.map((saga) => saga.id).toSorted()
    const [orders, lines] = await Promise.all([lockOrders(tx, ids), readLines(tx, ids)])
    const transport = ageMs > transportPausedAfterMs ? 'paused' : 'running'
    const decided = due.flatMap((saga) => {
      const order = orders.get(saga.id)
      return decideOne(options, { saga, order, lines: lines.get(saga.id) ?? [] }, transport)
    })
    saveOrchestrated(tx, decided, { namespace, now: first.now })
    return decided
  })
  countOrchestrated(decisions)
  return decisions.length
}

/** A saga that cannot be decided stays due and is loud; it must not hold up the others. */
function decideOne(
  { sagas, logger }: DueSagasOptions,
  { saga, order, lines }: Omit<SagaOfOrder, 'order'> & { order: SagaOfOrder['order'] | undefined },
  transport: 'running' | 'paused',
): OwnDecision[] {
  try {
    if (order === undefined) throw new Error(`the saga ${saga.id} has no order`)
    const traceparent = traceparentFrom()
    const input = { kind: 'due', version: saga.state.version, transport } as const
    const turn = { input, actor: 'timer', traceparent }
    const decided = orchestrate(sagas.registry, { saga, order, lines }, turn)
    return [{ ...decided, traceparent, happened: noticed(saga, decided) }]
  } catch (error) {
    logger.error({ err: error, sagaId: saga.id }, 'a due saga cannot be decided')
    return []
  }
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
