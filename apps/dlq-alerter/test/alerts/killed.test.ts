import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SpawnedApp, spawnApp, waitFor } from '@edp/testkit'
import { createWorld, newGroupId, type World } from './world.ts'

let world: World
beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world.close())
afterEach(() => world.clear())

const firing = 'firing dlq-group'
// The heartbeat would be what the fault happens to.
const quiet = { ALERT_HEARTBEAT_CHANNEL: 'log', LOG_LEVEL: 'info' }

const spawnAlerter = (env: Record<string, string>): SpawnedApp =>
  spawnApp('dlq-alerter', { HTTP_PORT: '0', ...env })

/** Runs the alerter until a fault kills it. */
async function killedAt(faultPoint: string): Promise<void> {
  const alerter = spawnAlerter(world.env({ ...quiet, FAULT_POINTS: faultPoint }))
  const timer = setTimeout(() => alerter.child.kill('SIGTERM'), 40_000)
  await alerter.ended
  clearTimeout(timer)
  expect(alerter.child.signalCode, alerter.output()).toBe('SIGKILL')
}

const statuses = () =>
  world.db.query("select kind, status, attempts from notifications where channel = 'webhook'")

test('an alerter that is killed between the POST and its record sends it again, recognisable as the same', async () => {
  await world.letters(newGroupId(), 1)
  await killedAt('alerts.after-attempt.webhook=kill')
  expect(world.receiver.told()).toEqual([firing])
  expect(await statuses()).toEqual([{ kind: 'firing', status: 'pending', attempts: 1 }])

  await world.start(quiet)
  await world.untilTold(firing, firing)
  expect(new Set(world.receiver.received.map(({ fingerprint }) => fingerprint)).size).toBe(1)
  await waitFor(statuses, {
    message: 'it is recorded',
    until: ([one]) => one?.['status'] === 'sent',
  })
})

test('an alerter that is killed before the POST has another one send it', async () => {
  await world.letters(newGroupId(), 1)
  await killedAt('alerts.before-attempt.webhook=kill')
  expect(world.receiver.told()).toEqual([])
  await world.start(quiet)
  await world.untilTold(firing)
})

test('an alerter that is killed before it commits has told nothing, and another one tells it', async () => {
  await world.letters(newGroupId(), 1)
  await killedAt('alerts.before-commit=kill')
  expect(await world.db.query('select 1 from alerts')).toEqual([])
  expect(await statuses()).toEqual([])
  await world.start(quiet)
  await world.untilTold(firing)
})

test('two alerters that are processes tell every group once, also when one of them is killed', async () => {
  const env = world.env(quiet)
  const processes = [spawnAlerter(env), spawnAlerter(env)]
  await waitFor(() => world.db.query('select 1 from alerting_lease'), {
    message: 'one evaluates',
    timeoutMs: 30_000,
    until: (rows) => rows.length === 1,
  })
  const groups = Array.from({ length: 8 }, newGroupId)
  for (const groupId of groups.slice(0, 4)) await world.letters(groupId, 1)
  await waitFor(statuses, {
    message: 'four are told, and recorded as such',
    until: (rows) => rows.filter(({ status }) => status === 'sent').length === 4,
  })
  processes[0]?.child.kill('SIGKILL')
  for (const groupId of groups.slice(4)) await world.letters(groupId, 1)
  await waitFor(() => new Set(world.receiver.received.map(({ group }) => group)).size, {
    message: 'all groups are told',
    timeoutMs: 30_000,
    until: (count) => count === 8,
  })
  // The one that was killed had nothing in hand: no group twice.
  expect(world.receiver.told()).toHaveLength(8)
  processes[1]?.child.kill('SIGTERM')
  for (const { ended } of processes) await ended
  expect(processes[1]?.child.exitCode).toBe(0)
})
