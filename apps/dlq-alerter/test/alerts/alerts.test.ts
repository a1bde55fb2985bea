import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { waitFor } from '@edp/testkit'
import { createWorld, newGroupId, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
afterEach(() => world.clear())

const firing = 'firing dlq-group'
const resolved = 'resolved dlq-group'

describe('a group of letters', () => {
  test('is told when its first letter comes, with where to look, and when the last is settled', async () => {
    const groupId = newGroupId()
    await world.start({ PUBLIC_URL: 'https://alerter.example/', RUNBOOK_BASE_URL: 'https://r/' })
    await world.letters(groupId, 1)
    await world.untilTold(firing)
    await world.settle()
    await world.untilTold(firing, resolved)
    expect(world.receiver.received.filter(({ group }) => group === groupId)).toMatchObject([
      {
        what: firing,
        summary: expect.stringContaining('1 dead letter of inventory-service.kafka'),
        link: `https://alerter.example/groups/${groupId}`,
      },
      {
        what: resolved,
        fingerprint: world.receiver.received.find((one) => one.what === firing)?.fingerprint,
      },
    ])
  })

  test('is told again at 10 and 100 letters, and at no number between', async () => {
    const groupId = newGroupId()
    await world.start({ ALERT_FLOOD_LETTERS_PER_MINUTE: '1000' })
    for (const [count, times] of [
      [1, 1],
      [8, 1],
      [1, 2],
      [89, 2],
      [1, 3],
    ] as const) {
      await world.letters(groupId, count)
      await evaluated()
      await world.untilTold(...Array<string>(times).fill(firing))
      expect(await written()).toHaveLength(times)
    }
  })

  test('that is ignored is silent until its time is over', async () => {
    const groupId = newGroupId()
    await world.letters(groupId, 5)
    await world.db.query(
      "update letter_groups set ignored_until = now() + interval '1 hour', ignored_until_count = 3",
    )
    await world.start()
    await evaluated()
    expect(world.receiver.told()).toEqual([])
    await world.db.query('update letter_groups set ignored_until = now()')
    await world.untilTold(firing)
  })

  test('that is ignored until a count is silent below it', async () => {
    const groupId = newGroupId()
    await world.letters(groupId, 5)
    await world.db.query('update letter_groups set ignored_until_count = 6')
    await world.start()
    await evaluated()
    expect(world.receiver.told()).toEqual([])
    await world.letters(groupId, 1)
    await world.untilTold(firing)
  })

  test('with letters open for too long is told by its level and by its age', async () => {
    await world.letters(newGroupId(), 1)
    await world.start({ ALERT_OPEN_LEVEL_MS: '300', ALERT_OPEN_AGE_MAX_MS: '300' })
    await world.untilTold(firing, 'firing dlq-level', 'firing dlq-age')
    await evaluated()
    expect(await written()).toHaveLength(3)
    await world.settle()
    await world.untilTold(
      firing,
      'firing dlq-level',
      'firing dlq-age',
      resolved,
      'resolved dlq-level',
      'resolved dlq-age',
    )
  })
})

describe('a flood', () => {
  test('of 10,000 letters of one group within a minute is three notifications at most, and one at its end', async () => {
    const groupId = newGroupId()
    await world.start()
    for (let batch = 0; batch < 20; batch += 1) await world.letters(groupId, 500)
    await evaluated()
    const told = await written()
    // At the first batch, from 1,000 letters on, and from 10,000 on.
    expect(told.length).toBeLessThanOrEqual(3)
    expect(new Set(told)).toEqual(new Set(['firing dlq-flood']))
    await world.settle()
    await world.untilTold(...told, 'resolved dlq-flood')
    const [rows] = await world.db.query('select count(*)::int as n from notifications')
    // On the webhook and in the log, and the first heartbeat.
    expect(rows).toEqual({ n: 2 * (told.length + 1) + 1 })
  })

  test('of 10,000 letters of 2,000 groups is 13 notifications at most, and does not end while they are open', async () => {
    await world.start()
    for (let first = 0; first < 5; first += 1) await world.letters(newGroupId(), 5)
    // Each batch at once: an evaluation in the middle of the first one would tell of a flood of tens, and so once more.
    for (let batch = 0; batch < 19; batch += 1) {
      await world.lettersOf(Array.from({ length: 105 }, newGroupId), 5)
    }
    await evaluated()
    const told = await written()
    const ofFlood = told.filter((what) => what === 'firing dlq-flood')
    const ofGroups = told.filter((what) => what === firing)
    expect(ofFlood.length).toBeLessThanOrEqual(3)
    // Those that came first, before there were too many of them.
    expect(ofGroups.length).toBeLessThanOrEqual(10)
    expect(told).toHaveLength(ofFlood.length + ofGroups.length)
    // A minute later nothing more has come; the groups are still there.
    await world.db.query('delete from letters')
    await evaluated()
    expect(await written()).toEqual(told)
    await world.settle()
    await world.untilTold(...told, 'resolved dlq-flood', ...ofGroups.map(() => resolved))
  })

  test('lets the groups speak when it is over, if they are few', async () => {
    const groups = [newGroupId(), newGroupId()]
    await world.start()
    for (const groupId of groups) await world.letters(groupId, 200)
    await world.untilTold('firing dlq-flood')
    await world.db.query('delete from letters')
    await world.untilTold('firing dlq-flood', 'resolved dlq-flood', firing, firing)
    expect(await written()).toHaveLength(4)
  })
})

test('two alerters at once tell everything once', async () => {
  await Promise.all([world.start(), world.start(), world.start()])
  const groups = Array.from({ length: 8 }, newGroupId)
  for (const groupId of groups) await world.letters(groupId, 1)
  await world.untilTold(...groups.map(() => firing))
  await world.settle()
  await world.untilTold(...groups.map(() => firing), ...groups.map(() => resolved))
  await evaluated()
  expect(world.receiver.told()).toHaveLength(16)
})

test('another alerter goes on at once where one has stopped, and later where one vanished', async () => {
  const one = await world.start()
  await evaluated()
  await one.stop()
  await world.start()
  await world.letters(newGroupId(), 1)
  await world.untilTold(firing)
  // Whenever it has just evaluated.
  const leases = () =>
    world.db.query(
      "select expires_at between now() + interval '5 s' and now() + interval '11 s' as soon from alerting_lease",
    )
  await expect.poll(leases).toEqual([{ soon: true }])
})

test('a heartbeat comes in every interval, also with two alerters, and goes on when one was refused', async () => {
  let refused = 0
  world.receiver.answerWith((response, { what }) => {
    if (what === 'firing heartbeat' && refused === 0) {
      refused += 1
      response.writeHead(400)
    }
    response.end()
  })
  await Promise.all([
    world.start({ ALERT_HEARTBEAT_INTERVAL_MS: '500' }),
    world.start({ ALERT_HEARTBEAT_INTERVAL_MS: '500' }),
  ])
  const beats = () => world.receiver.received.filter(({ what }) => what === 'firing heartbeat')
  await waitFor(beats, { message: 'four heartbeats', until: (seen) => seen.length >= 4 })
  const rows = await world.db.query(
    `select extract(epoch from created_at - lag(created_at) over (order by notification_id))::float8 as gap
     from notifications where kind = 'heartbeat' offset 1`,
  )
  for (const { gap } of rows) expect(Number(gap)).toBeGreaterThanOrEqual(0.5)
})

/** What is to be told on the webhook, delivered or not. */
async function written(): Promise<string[]> {
  const rows = await world.db.query(
    `select kind || ' ' || (message->>'rule') as what from notifications
     where channel = 'webhook' and kind <> 'heartbeat' order by notification_id`,
  )
  return rows.map(({ what }) => String(what))
}

/** Waits until two more evaluations have begun and ended: by then, what is so has been seen. */
async function evaluated(): Promise<void> {
  for (let times = 0; times < 2; times += 1) {
    const before = await world.db.query('select xmin::text as version from alerting_lease')
    await waitFor(() => world.db.query('select xmin::text as version from alerting_lease'), {
      message: 'an evaluation',
      until: ([now]) => now !== undefined && now['version'] !== before[0]?.['version'],
    })
  }
}
