import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { type Alert, type Message, severity, type StoredAlert } from './alert.ts'
import { groupRule } from './letter-conditions.ts'
import type { Change } from './reconcile.ts'

const leaseName = 'evaluation'

// One row for all processes. Whoever asks at the same time waits for the other's transaction, and then sees its lease.
const takeLease = statement(
  'alerts_take_lease',
  z.object({ now: z.date() }),
  `insert into alerting_lease (name, owner, expires_at) values ($1, $2, now() + make_interval(secs => $3::float8 / 1000))
   on conflict (name) do update set owner = excluded.owner, expires_at = excluded.expires_at
     where alerting_lease.owner = excluded.owner or alerting_lease.expires_at <= now()
   returning now() as now`,
)

const giveLeaseBack = statement(
  'alerts_give_lease_back',
  noRow,
  'update alerting_lease set expires_at = now() where name = $1 and owner = $2',
)

/**
 * Takes or keeps the right to evaluate, for `leaseMs` by the database's clock: two processes with different readings would
 * otherwise fire and resolve against each other. Gives the time of the transaction, or undefined when another process has it.
 */
export async function takeEvaluationLease(
  tx: Tx,
  lease: { owner: string; leaseMs: number },
): Promise<Date | undefined> {
  const [row] = await tx.run(takeLease, [leaseName, lease.owner, lease.leaseMs])
  return row?.now
}

/** Lets another process evaluate at once. */
export async function giveEvaluationLeaseBack(tx: Tx, owner: string): Promise<void> {
  await tx.execute(giveLeaseBack, [leaseName, owner])
}

const alertRow = z.object({
  alert_id: z.int(),
  dedup_key: z.string(),
  rule: z.string(),
  source: z.string(),
  severity,
  status: z.enum(['pending', 'firing', 'resolved']),
  summary: z.string(),
  labels: z.record(z.string(), z.string()),
  path: z.string(),
  runbook: z.string(),
  level: z.int(),
  starts_at: z.date(),
  quiet_since: z.date().nullable(),
  ends_at: z.date().nullable(),
})

const selectLive = statement(
  'alerts_select_live',
  alertRow,
  `select alert_id, dedup_key, rule, source, severity, status, summary, labels, path, runbook, level, starts_at, quiet_since, ends_at
   from alerts where status in ('pending', 'firing')`,
)

const countBegun = statement(
  'alerts_count_begun',
  z.object({ begun: z.int() }),
  `select count(*)::int as begun from alerts where rule = $1 and starts_at > now() - interval '1 minute'`,
)

/** The alerts that have not ended, and how many of groups began within the last minute. */
export async function readAlerts(
  tx: Tx,
): Promise<{ live: StoredAlert[]; begunLastMinute: number }> {
  const [rows, [count]] = await Promise.all([tx.run(selectLive), tx.run(countBegun, [groupRule])])
  return { live: rows.map(storedAlert), begunLastMinute: count?.begun ?? 0 }
}

function storedAlert(row: z.infer<typeof alertRow>): StoredAlert {
  const { alert_id, dedup_key, starts_at, quiet_since, ends_at, ...rest } = row
  return {
    ...rest,
    alertId: alert_id,
    key: dedup_key,
    startsAt: starts_at,
    quietSince: quiet_since,
    endsAt: ends_at,
  }
}

const columns = `alert_id bigint, dedup_key text, rule text, source text, severity text, status text, summary text, labels json,
  path text, runbook text, level integer, starts_at timestamptz, quiet_since timestamptz, ends_at timestamptz`

const insertAlerts = statement(
  'alerts_insert',
  z.object({ alert_id: z.int(), dedup_key: z.string() }),
  `insert into alerts (dedup_key, rule, source, severity, status, summary, labels, path, runbook, level, starts_at, quiet_since, ends_at)
   select dedup_key, rule, source, severity, status, summary, labels, path, runbook, level, starts_at, quiet_since, ends_at
   from json_to_recordset($1) as r(${columns})
   returning alert_id, dedup_key`,
)

// The ids once more: of how many rows the records are Postgres knows nothing, and would read the whole history to join them.
const updateAlerts = statement(
  'alerts_update',
  noRow,
  `update alerts a set severity = r.severity, status = r.status, summary = r.summary, labels = r.labels, path = r.path,
     runbook = r.runbook, level = r.level, quiet_since = r.quiet_since, ends_at = r.ends_at
   from json_to_recordset($1) as r(${columns})
   where a.alert_id = r.alert_id and a.alert_id = any($2::bigint[])`,
)

const deleteAlerts = statement(
  'alerts_delete',
  noRow,
  'delete from alerts where alert_id = any($1::bigint[])',
)

/** What is told of one alert. */
export interface Told {
  readonly alertId: number
  readonly message: Message
}

/**
 * Writes what changed, and gives what is to be told of it.
 * @param messageOf makes the message from the alert's new state
 */
export async function writeChanges(
  tx: Tx,
  changes: readonly Change[],
  messageOf: (alert: Alert, kind: 'firing' | 'resolved') => Message,
): Promise<Told[]> {
  const begun: Alert[] = []
  const updated: StoredAlert[] = []
  const gone: number[] = []
  for (const { alertId, next } of changes) {
    if (alertId === null) {
      if (next !== null) begun.push(next)
    } else if (next === null) gone.push(alertId)
    else updated.push({ ...next, alertId })
  }
  if (gone.length > 0) void tx.execute(deleteAlerts, [gone])
  if (updated.length > 0) {
    const ids = updated.map(({ alertId }) => alertId)
    void tx.execute(updateAlerts, [asRecords(updated), ids])
  }
  const ids = new Map<string, number>()
  if (begun.length > 0) {
    const rows = await tx.run(insertAlerts, [asRecords(begun)])
    for (const row of rows) ids.set(row.dedup_key, row.alert_id)
  }
  return changes.flatMap(({ alertId, next, tells }) => {
    if (next === null || tells === null) return []
    const known = alertId ?? ids.get(next.key)
    return known === undefined ? [] : [{ alertId: known, message: messageOf(next, tells) }]
  })
}

function asRecords(alerts: readonly (Alert & { alertId?: number })[]): string {
  return JSON.stringify(alerts.map(recordOf))
}

function recordOf(alert: Alert & { alertId?: number }) {
  const { alertId, key, startsAt, quietSince, endsAt, ...rest } = alert
  return {
    ...rest,
    alert_id: alertId,
    dedup_key: key,
    starts_at: startsAt,
    quiet_since: quietSince,
    ends_at: endsAt,
  }
}
