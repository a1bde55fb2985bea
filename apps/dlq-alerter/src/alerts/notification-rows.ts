import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { message, type Message } from './alert.ts'
import type { Told } from './alert-rows.ts'
import type { ChannelName } from './channels/channel.ts'

const enqueueTold = statement(
  'notifications_enqueue',
  noRow,
  `insert into notifications (alert_id, dedup_key, channel, kind, message)
   select r.alert_id, r.message->>'dedupKey', c.channel, r.message->>'kind', r.message
   from json_to_recordset($1) as r(alert_id bigint, message json)
   cross join lateral (
     select unnest($2::text[]) as channel
     union
     select n.channel from notifications n
     where n.alert_id = r.alert_id and r.message->>'kind' = 'resolved' and n.channel = any($3::text[])
   ) c
   order by r.alert_id, c.channel`,
)

/**
 * Writes a notification for each channel. The end of an alert also goes to every channel that stood in for another one: nothing that
 * was told stays open for ever.
 * @param channels the ones that take every alert
 * @param known all that this process can deliver to
 */
export async function enqueueNotifications(
  tx: Tx,
  told: readonly Told[],
  { channels, known }: { channels: readonly ChannelName[]; known: readonly ChannelName[] },
): Promise<void> {
  if (told.length === 0) return
  const records = told.map(({ alertId, message: one }) => ({ alert_id: alertId, message: one }))
  await tx.execute(enqueueTold, [JSON.stringify(records), channels, known])
}

const enqueueBeat = statement(
  'notifications_enqueue_heartbeat',
  noRow,
  `insert into notifications (dedup_key, channel, kind, message)
   select $1, $2, 'heartbeat', $3
   where not exists (
     select from notifications where kind = 'heartbeat' and created_at > now() - make_interval(secs => $4::float8 / 1000))
   and not exists (
     select from notifications where channel = $2 and dedup_key = $1 and status = 'pending')`,
)

/** Writes a heartbeat unless there was one within `intervalMs` or the last one is still on its way. */
export async function enqueueHeartbeat(
  tx: Tx,
  beat: { message: Message; channel: ChannelName; intervalMs: number },
): Promise<void> {
  const { message: one, channel, intervalMs } = beat
  await tx.execute(enqueueBeat, [one.dedupKey, channel, JSON.stringify(one), intervalMs])
}

const claimed = z.object({
  notification_id: z.int(),
  alert_id: z.int().nullable(),
  attempts: z.int(),
  message,
})

/** A notification that this process is to deliver now. */
export interface Claimed {
  readonly notificationId: number
  /** Null for a heartbeat. */
  readonly alertId: number | null
  /** This attempt included. */
  readonly attempts: number
  readonly message: Message
}

// An alert's notifications go out one after the other: a receiver that got "resolved" before "firing" would show it for ever.
const claimDue = statement(
  'notifications_claim',
  claimed,
  `update notifications n
   set attempts = n.attempts + 1, next_attempt_at = now() + make_interval(secs => $2::float8 / 1000)
   where n.notification_id = (
     select c.notification_id from notifications c
     where c.channel = $1 and c.status = 'pending' and c.next_attempt_at <= now()
       and not exists (select from channel_pauses p where p.channel = c.channel and p.until > now())
       and not exists (
         select from notifications e
         where e.channel = c.channel and e.dedup_key = c.dedup_key and e.status = 'pending'
           and e.notification_id < c.notification_id)
     order by c.next_attempt_at, c.notification_id limit 1
     for update skip locked)
   returning n.notification_id, n.alert_id, n.attempts, n.message`,
)

/**
 * Takes the next due notification of a channel. It is this process's for `claimMs`; if nothing is recorded until then, the
 * process was killed, and it is due again.
 */
export async function claimNotification(
  tx: Tx,
  claim: { channel: ChannelName; claimMs: number },
): Promise<Claimed | undefined> {
  const [row] = await tx.run(claimDue, [claim.channel, claim.claimMs])
  if (!row) return undefined
  const { notification_id, alert_id, ...rest } = row
  return { ...rest, notificationId: notification_id, alertId: alert_id }
}

const endOne = statement(
  'notifications_end',
  noRow,
  `update notifications set status = $2, last_error = $3, ended_at = now()
   where notification_id = $1 and status = 'pending'`,
)

/** Records that a notification was delivered, or never will be. */
export function endNotification(
  tx: Tx,
  end: { notificationId: number; status: 'sent' | 'failed'; error: string | null },
): Promise<number> {
  return tx.execute(endOne, [end.notificationId, end.status, end.error])
}

const delayOne = statement(
  'notifications_delay',
  noRow,
  `update notifications set last_error = $2, next_attempt_at = now() + make_interval(secs => $3::float8 / 1000)
   where notification_id = $1 and status = 'pending'`,
)

const pauseOne = statement(
  'notifications_pause_channel',
  noRow,
  `insert into channel_pauses (channel, until) values ($1, now() + make_interval(secs => $2::float8 / 1000))
   on conflict (channel) do update set until = greatest(channel_pauses.until, excluded.until)`,
)

/** Records a failed attempt and when to try again. */
export function delayNotification(
  tx: Tx,
  delay: { notificationId: number; delayMs: number; error: string },
): Promise<number> {
  return tx.execute(delayOne, [delay.notificationId, delay.error, delay.delayMs])
}

/** A receiver that asks for a wait means all that goes to it, also what is written later. */
export function pauseChannel(
  tx: Tx,
  pause: { channel: ChannelName; delayMs: number },
): Promise<number> {
  return tx.execute(pauseOne, [pause.channel, pause.delayMs])
}

const lockAlert = statement(
  'notifications_lock_alert',
  z.object({ status: z.string() }),
  'select status from alerts where alert_id = $1 for share',
)

const standIn = statement(
  'notifications_stand_in',
  noRow,
  `insert into notifications (alert_id, dedup_key, channel, kind, message, fallback_of)
   select alert_id, dedup_key, $2, kind, $3, notification_id from notifications where notification_id = $1
   on conflict (fallback_of) do nothing`,
)

/**
 * Gives a notification to another channel too, once however often it is asked. That an alert fires is not told there any more when
 * it has ended: its end is on its way already, and would come first. The lock makes the two wait for each other.
 */
export async function enqueueStandIn(
  tx: Tx,
  given: {
    notificationId: number
    alertId: number
    channel: ChannelName
    message: Message
  },
): Promise<void> {
  const { notificationId, alertId, channel, message: one } = given
  const [alert] = await tx.run(lockAlert, [alertId])
  if (one.kind === 'firing' && alert?.status !== 'firing') return
  await tx.execute(standIn, [notificationId, channel, JSON.stringify(one)])
}

const selectOverdue = statement(
  'notifications_select_overdue',
  z.object({
    notification_id: z.int(),
    alert_id: z.int(),
    last_error: z.string().nullable(),
    message,
  }),
  `select n.notification_id, n.alert_id, n.last_error, n.message
   from notifications n join alerts a on a.alert_id = n.alert_id
   where n.channel = $1 and n.status = 'pending' and n.created_at < now() - make_interval(secs => $2::float8 / 1000)
     and (n.kind = 'resolved' or a.status = 'firing')
     and not exists (select from notifications s where s.fallback_of = n.notification_id)
   order by n.notification_id limit 100
   for update of n skip locked`,
)

/** A notification that has not been delivered in time. */
export interface Overdue {
  readonly notificationId: number
  readonly alertId: number
  readonly lastError: string | null
  readonly message: Message
}

/** What has waited for the channel longer than `afterMs` and has no stand-in yet, at most a hundred, locked. */
export async function lockOverdue(
  tx: Tx,
  { channel, afterMs }: { channel: ChannelName; afterMs: number },
): Promise<Overdue[]> {
  return (await tx.run(selectOverdue, [channel, afterMs])).map((row) => ({
    notificationId: row.notification_id,
    alertId: row.alert_id,
    lastError: row.last_error,
    message: row.message,
  }))
}

const selectOrphans = statement(
  'notifications_select_orphans',
  z.object({
    notification_id: z.int(),
    alert_id: z.int().nullable(),
    channel: z.string(),
    message,
  }),
  `select notification_id, alert_id, channel, message from notifications
   where status = 'pending' and channel <> all($1::text[]) order by notification_id limit 1000
   for update skip locked`,
)

/** A notification that waits for a channel that is not set up. */
export interface Orphan {
  readonly notificationId: number
  readonly alertId: number | null
  readonly channel: string
  readonly message: Message
}

/** Notifications of channels that are not set up any more, at most a thousand, locked. */
export async function lockOrphans(tx: Tx, known: readonly ChannelName[]): Promise<Orphan[]> {
  return (await tx.run(selectOrphans, [known])).map((row) => ({
    notificationId: row.notification_id,
    alertId: row.alert_id,
    channel: row.channel,
    message: row.message,
  }))
}

const countPending = statement(
  'notifications_count_pending',
  z.object({ channel: z.string(), pending: z.int(), oldest_seconds: z.number() }),
  `select channel, count(*)::int as pending, greatest(0, extract(epoch from now() - min(created_at)))::float8 as oldest_seconds
   from notifications where status = 'pending' group by channel`,
)

/** How many notifications wait on each channel, and since when. */
export function readBacklog(
  tx: Tx,
): Promise<{ channel: string; pending: number; oldest_seconds: number }[]> {
  return tx.run(countPending)
}

const pruneNotifications = statement(
  'notifications_prune',
  noRow,
  `delete from notifications where status <> 'pending' and ended_at < now() - make_interval(secs => $1::float8 / 1000)`,
)

const pruneAlerts = statement(
  'alerts_prune',
  noRow,
  `delete from alerts where status = 'resolved' and ends_at < now() - make_interval(secs => $1::float8 / 1000)`,
)

/** Removes what ended longer than `retentionMs` ago. */
export function pruneHistory(tx: Tx, retentionMs: number): void {
  void tx.execute(pruneNotifications, [retentionMs])
  void tx.execute(pruneAlerts, [retentionMs])
}
