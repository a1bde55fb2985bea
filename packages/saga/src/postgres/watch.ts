import {
  type Component,
  createLoop,
  type Database,
  gauge,
  type Health,
  type HealthReport,
  type Logger,
  statement,
} from '@edp/runtime'
import { z } from 'zod'
import { nameOf, type SagaRegistry } from './registry.ts'

const active = gauge('edp_saga_active', 'Sagas that have not ended', ['definition', 'status'])
const oldest = gauge('edp_saga_oldest_active_seconds', 'Age of the oldest saga not ended', [
  'definition',
])
const timerLag = gauge(
  'edp_saga_timer_lag_seconds',
  'How long the longest overdue timer is overdue',
  ['definition'],
)

const liveStatuses = ['running', 'compensating', 'fencing', 'needs_human'] as const

const liveRow = z.object({
  definition: z.string(),
  definition_version: z.int(),
  status: z.string(),
  sagas: z.int(),
  age_seconds: z.number(),
  lag_seconds: z.number(),
})
type LiveRow = z.infer<typeof liveRow>

const selectLive = statement(
  'saga_live_count',
  liveRow,
  `select s.definition, s.definition_version, s.status, count(*)::int as sagas,
     extract(epoch from now() - min(s.started_at))::float8 as age_seconds,
     greatest(0, extract(epoch from now() - min(s.due_at)))::float8 as lag_seconds
   from saga s
   where s.ended_at is null and s.status in ('running', 'compensating', 'fencing', 'needs_human')
   group by s.definition, s.definition_version, s.status`,
)

/** What `createSagaWatch` needs. */
export interface SagaWatchOptions {
  database: Pick<Database, 'transaction'>
  registry: SagaRegistry
  logger: Logger
  health: Health
  /** How often the live sagas are counted; default 5 s. */
  intervalMs?: number
}

/**
 * Counts the live sagas, for metrics and for health: a process that does not know a version under which sagas still run must not
 * be ready, else a deployment that removed it too early would leave them to nobody. It says which version, and how many.
 */
export function createSagaWatch(options: SagaWatchOptions): Component {
  const { database, registry, logger, health, intervalMs = 5000 } = options
  let report: HealthReport = { status: 'unhealthy', detail: 'live sagas are not counted yet' }
  let waiting = 0
  const look = async (): Promise<void> => {
    const rows = await database.transaction((tx) => tx.run(selectLive))
    show(rows, registry)
    const sagas = count(rows.filter((row) => row.status === 'needs_human'))
    if (sagas > waiting)
      logger.warn({ sagas }, 'sagas wait for a person: GET /sagas?status=needs_human')
    waiting = sagas
    const unknown = unknownVersions(rows, registry)
    report = unknown === undefined ? { status: 'ok' } : { status: 'unhealthy', detail: unknown }
  }
  const loop = createLoop({ name: 'saga versions', intervalMs, logger, work: look })
  health.register(loop.name, () => report)
  return {
    name: loop.name,
    // Before anything is consumed: whether the process is ready is known from its first moment on.
    start: async () => {
      await look().catch((error: unknown) => logger.warn({ err: error }, 'cannot count live sagas'))
      await loop.start()
    },
    stop: () => loop.stop(),
  }
}

function unknownVersions(rows: readonly LiveRow[], registry: SagaRegistry): string | undefined {
  const counts = new Map<string, number>()
  for (const { definition, definition_version: version, sagas } of rows) {
    if (registry.find(definition, version)) continue
    const name = nameOf(definition, version)
    counts.set(name, (counts.get(name) ?? 0) + sagas)
  }
  if (counts.size === 0) return undefined
  const list = [...counts].map(([name, sagas]) => `${name} (${sagas})`).toSorted()
  return `live sagas of versions that are not registered: ${list.join(', ')}`
}

function count(rows: readonly LiveRow[]): number {
  return rows.reduce((sum, row) => sum + row.sagas, 0)
}

// A definition without live sagas shows zeros: an alert on a series that is not there says nothing.
function show(rows: readonly LiveRow[], registry: SagaRegistry): void {
  for (const one of [active, oldest, timerLag]) one.reset()
  const definitions = new Set([...registry.all, ...rows].map((one) => one.definition))
  for (const definition of definitions) {
    const of = rows.filter((row) => row.definition === definition)
    oldest.set({ definition }, Math.max(0, ...of.map((row) => row.age_seconds)))
    timerLag.set({ definition }, Math.max(0, ...of.map((row) => row.lag_seconds)))
    for (const status of liveStatuses) {
      active.set({ definition, status }, count(of.filter((row) => row.status === status)))
    }
  }
}
