import {
  type Backoff,
  counter,
  createLoop,
  type Database,
  faultPoint,
  fullJitter,
  type Logger,
  type Loop,
  type Tx,
} from '@edp/runtime'
import type { Channel, ChannelName, Delivery } from './channels/channel.ts'
import {
  type Claimed,
  claimNotification,
  delayNotification,
  endNotification,
  enqueueStandIn,
  lockOverdue,
  pauseChannel,
} from './notification-rows.ts'

const attemptsTotal = counter(
  'edp_alert_notification_attempts_total',
  'Attempts to deliver a notification, by what came of them',
  ['channel', 'result'],
)

/** The bounds of delivering. */
export interface SenderBounds {
  /** No attempt takes longer. */
  readonly attemptTimeoutMs: number
  readonly backoff: Backoff
  /** A longer Retry-After is taken for so long. */
  readonly retryAfterMaxMs: number
  /** What is not delivered within this goes to the fallback too, while the channel goes on being tried. */
  readonly fallbackAfterMs: number
  /** After so many attempts it is given up. */
  readonly attemptsMax: number
  readonly pollIntervalMs: number
}

/** What `createSender` needs. */
export interface SenderOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly channel: Channel
  /** Told when this channel cannot deliver; the log when there is no other. None for the log. */
  readonly fallback: ChannelName | undefined
  readonly bounds: SenderBounds
  readonly logger: Logger
}

/**
 * Delivers what is due on one channel, one notification at a time: what a receiver that hangs or is down can hold up is
 * its own. At least once: a process that is killed between the attempt and its record leaves a claim that ends, and then it
 * is sent again, with the same dedup key.
 */
export function createSender(options: SenderOptions): Loop {
  const { database, channel, bounds, logger } = options
  return createLoop({
    name: `alert-sender-${channel.name}`,
    intervalMs: bounds.pollIntervalMs,
    logger,
    work: async () => {
      const claimed = await database.transaction((tx) => takeNext(tx, options))
      if (!claimed) return undefined
      await faultPoint(`alerts.before-attempt.${channel.name}`)
      const delivery = await channel.deliver(claimed.message)
      await faultPoint(`alerts.after-attempt.${channel.name}`)
      attemptsTotal.inc({ channel: channel.name, result: delivery.kind })
      await record(options, claimed, delivery)
      return 'again'
    },
  })
}

/** Hands on what is late, whatever keeps it: a receiver that asked for a wait, or a hundred that hang before it. */
async function takeNext(tx: Tx, options: SenderOptions): Promise<Claimed | undefined> {
  const { channel, bounds, fallback } = options
  if (fallback !== undefined) {
    const late = await lockOverdue(tx, { channel: channel.name, afterMs: bounds.fallbackAfterMs })
    for (const one of late) {
      await handOn(tx, options, { ...one, why: one.lastError ?? 'not tried yet' })
    }
  }
  // Longer than an attempt and its record can take, so that nobody else takes it meanwhile.
  const claimMs = bounds.attemptTimeoutMs * 2 + 5000
  return claimNotification(tx, { channel: channel.name, claimMs })
}

/** Has another channel tell it. A heartbeat, which is of no alert, proves nothing when somebody else passes it on. */
async function handOn(
  tx: Tx,
  { channel, fallback }: SenderOptions,
  one: Pick<Claimed, 'notificationId' | 'alertId' | 'message'> & { why: string },
): Promise<void> {
  const { notificationId, alertId, message, why } = one
  if (fallback === undefined || alertId === null) return
  // What stands in for another channel's is handed on to the log only: two broken channels would go on for ever.
  const next = message.undelivered === undefined ? fallback : 'log'
  const undelivered = `${channel.name} has not taken this: ${why}`
  await enqueueStandIn(tx, {
    notificationId,
    alertId,
    channel: next,
    message: { ...message, undelivered },
  })
}

async function record(options: SenderOptions, claimed: Claimed, delivery: Delivery): Promise<void> {
  const { database, channel, bounds, logger } = options
  const { notificationId, attempts, message } = claimed
  const outcome = outcomeOf({ delivery, attempts, bounds })
  const error = delivery.kind === 'delivered' ? null : delivery.reason
  await database.transaction(async (tx) => {
    if (outcome.status === 'pending') {
      const { delayMs } = outcome
      void delayNotification(tx, { notificationId, delayMs, error: error ?? '' })
      if (outcome.pausesChannel) void pauseChannel(tx, { channel: channel.name, delayMs })
      return
    }
    void endNotification(tx, { notificationId, status: outcome.status, error })
    if (error !== null) await handOn(tx, options, { ...claimed, why: error })
  })
  if (error === null) return
  const context = { channel: channel.name, rule: message.rule, attempts, reason: error }
  if (outcome.status === 'failed') logger.error(context, 'a notification cannot be delivered')
  else logger.warn(context, 'a notification was not delivered, will be tried again')
}

type Outcome =
  | { readonly status: 'sent' | 'failed' }
  | { readonly status: 'pending'; readonly delayMs: number; readonly pausesChannel: boolean }

/** What an attempt means for the notification. Pure but for the jitter. */
export function outcomeOf(options: {
  delivery: Delivery
  /** This one included. */
  attempts: number
  bounds: Pick<SenderBounds, 'attemptsMax' | 'backoff' | 'retryAfterMaxMs'>
  random?: () => number
}): Outcome {
  const { delivery, attempts, bounds, random = Math.random } = options
  if (delivery.kind === 'delivered') return { status: 'sent' }
  if (delivery.kind === 'refused' || attempts >= bounds.attemptsMax) return { status: 'failed' }
  const { retryAfterMs } = delivery
  const jitterMs = fullJitter({ attempt: attempts, ...bounds.backoff, random })
  return {
    status: 'pending',
    // The jitter comes on top: all that wait for the same receiver were asked to wait as long.
    delayMs: Math.min(retryAfterMs ?? 0, bounds.retryAfterMaxMs) + jitterMs,
    pausesChannel: retryAfterMs !== undefined,
  }
}
