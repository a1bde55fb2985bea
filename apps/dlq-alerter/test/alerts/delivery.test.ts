import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { waitFor } from '@edp/testkit'
import { first, refuser, status } from './receiver.ts'
import { createWorld, newGroupId, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
afterEach(() => world.clear())

const firing = 'firing dlq-group'
const resolved = 'resolved dlq-group'

/** The webhook's notifications of alerts, in order. */
const rows = () =>
  world.db.query(
    `select kind, status, attempts, last_error as error from notifications
     where channel = 'webhook' and kind <> 'heartbeat' order by notification_id`,
  )

const untilRows = (until: (found: Record<string, unknown>[]) => boolean) =>
  waitFor(rows, { message: 'the notifications are recorded', until })

const allSent = (found: Record<string, unknown>[]): boolean =>
  found.length > 0 && found.every((row) => row['status'] === 'sent')

/** Waits between what arrived of alerts, in milliseconds. */
function gaps(): number[] {
  const times = world.receiver.received
    .filter(({ what }) => !what.endsWith('heartbeat'))
    .map(({ atMs }) => atMs)
  return times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0))
}

// The heartbeat would take the first answers.
const quiet = { ALERT_HEARTBEAT_CHANNEL: 'log' }

describe('a receiver', () => {
  test('that answers 500 gets it again', async () => {
    world.receiver.answerWith(first(status(500), status(502)))
    await world.start(quiet)
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing, firing)
    expect(await untilRows(allSent)).toMatchObject([{ kind: 'firing', attempts: 3, error: null }])
  })

  test('that answers 429 with seconds gets nothing more until they are over', async () => {
    world.receiver.answerWith(first(status(429, '2')))
    await world.start(quiet)
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing)
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing, firing)
    expect(gaps()[0]).toBeGreaterThanOrEqual(1990)
    await untilRows(allSent)
  })

  test('that asks for a long wait does not keep the fallback from being told in time', async () => {
    world.receiver.answerWith(first(status(429, '600')))
    await world.start({ ...quiet, ALERT_FALLBACK_AFTER_MS: '500' })
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing)
    await world.letters(newGroupId(), 1)
    await waitFor(
      () => world.db.query('select message from notifications where fallback_of is not null'),
      {
        message: 'both are told by the log',
        until: (found) => found.length === 2,
      },
    )
    expect(world.receiver.told()).toEqual([firing])
  })

  test('that answers 503 with a date gets nothing before it', async () => {
    // A date has whole seconds: this one is between two and three seconds ahead.
    const at = new Date(Math.ceil(Date.now() / 1000 + 2) * 1000)
    world.receiver.answerWith(first(status(503, at.toUTCString())))
    await world.start(quiet)
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing)
    await world.untilTold(firing, firing)
    expect(Date.now()).toBeGreaterThanOrEqual(at.getTime() - 10)
    await untilRows(allSent)
  })

  test('that hangs gets it again after the time-out', async () => {
    world.receiver.answerWith(first(() => undefined))
    await world.start({ ...quiet, ALERT_ATTEMPT_TIMEOUT_MS: '2000' })
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing)
    // The time-out begins before the request arrives.
    expect(gaps()[0]).toBeGreaterThanOrEqual(1500)
    expect(await untilRows(allSent)).toMatchObject([{ attempts: 2 }])
  })

  test('that is down for a while gets everything afterwards, each alert in its order', async () => {
    await world.receiver.close()
    await world.start(quiet)
    const groups = Array.from({ length: 5 }, newGroupId)
    for (const groupId of groups) await world.letters(groupId, 1)
    await untilRows((found) => found.length === 5 && found.every((row) => row['error'] !== null))
    await world.settle()
    await untilRows((found) => found.length === 10)
    await world.receiver.open()
    await untilRows((found) => found.length === 10 && allSent(found))
    for (const groupId of groups) {
      const told = world.receiver.received.filter(({ group }) => group === groupId)
      expect(told.map(({ what }) => what)).toEqual([firing, resolved])
    }
  })
})

describe('the fallback', () => {
  /** The webhook, which takes everything too, stands in for Slack. */
  const slackAt = (url: string) => ({
    ...quiet,
    ALERT_SLACK_WEBHOOK_URL: url,
    ALERT_FALLBACK_CHANNEL: 'webhook',
  })
  const standIns = () =>
    world.db.query(
      `select channel, kind, status, message->>'undelivered' as undelivered from notifications
       where fallback_of is not null order by notification_id`,
    )

  test('gets what a channel refuses for good, with the reason, and what it tells of the end', async () => {
    const refusing = await refuser(400)
    await world.start(slackAt(refusing.url))
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing)
    expect(await standIns()).toMatchObject([
      {
        channel: 'webhook',
        kind: 'firing',
        undelivered: 'slack has not taken this: HTTP 400: no_such_channel',
      },
    ])
    await world.settle()
    await world.untilTold(firing, firing, resolved, resolved)
    await refusing.close()
  })

  test('gets what was not delivered in time, once, while the channel goes on being tried', async () => {
    const down = await refuser(500)
    await world.start({ ...slackAt(down.url), ALERT_FALLBACK_AFTER_MS: '3000' })
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing)
    await waitFor(() => down.requests(), { message: 'more attempts', until: (count) => count >= 3 })
    expect(await standIns()).toHaveLength(1)
    await down.close()
  })

  test('gets what was tried too often', async () => {
    const down = await refuser(500)
    await world.start({ ...slackAt(down.url), ALERT_ATTEMPTS_MAX: '2' })
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing, firing)
    const slack = await world.db.query(
      "select status, attempts from notifications where channel = 'slack'",
    )
    expect(slack).toEqual([{ status: 'failed', attempts: 2 }])
    await down.close()
  })

  test('of two channels that both refuse is the log', async () => {
    const refusing = await refuser(400)
    world.receiver.answerWith(status(400))
    await world.start({ ...quiet, ALERT_SLACK_WEBHOOK_URL: refusing.url })
    await world.letters(newGroupId(), 1)
    const ended = await waitFor(standIns, {
      message: 'the log has what nobody took',
      until: (found) => found.length === 4 && found.every((row) => row['status'] !== 'pending'),
    })
    expect(
      ended.map((row) => `${String(row['channel'])} ${String(row['status'])}`).toSorted(),
    ).toEqual(['log sent', 'log sent', 'slack failed', 'webhook failed'])
    await refusing.close()
  })

  test('is told the end only, when an alert ended before it was late', async () => {
    const down = await refuser(500)
    await world.start({ ...slackAt(down.url), ALERT_FALLBACK_AFTER_MS: '600000' })
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing)
    await world.settle()
    await world.untilTold(firing, resolved)
    await world.db.query(
      `update notifications set created_at = created_at - interval '1 hour' where channel = 'slack'`,
    )
    await world.untilTold(firing, resolved, resolved)
    expect(await standIns()).toMatchObject([{ channel: 'webhook', kind: 'resolved' }])
    await down.close()
  })

  test('is the log for what waits on a channel that is not set up any more', async () => {
    const down = await refuser(500)
    const one = await world.start(slackAt(down.url))
    await world.letters(newGroupId(), 1)
    await world.untilTold(firing)
    await one.stop()
    await world.start(quiet)
    const given = await waitFor(standIns, {
      message: 'handed over',
      until: (found) => found[0]?.['status'] === 'sent',
    })
    expect(given).toMatchObject([{ channel: 'log', undelivered: 'slack is not set up any more' }])
    await down.close()
  })
})
