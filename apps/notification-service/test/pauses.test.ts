import { type AppProcess, startApp, waitFor } from '@edp/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { harm, unharmed } from './outcome.ts'
import { confirmed, createWorld, newOrderId, openBrokers, type Row, type World } from './world.ts'

let world: World
let closeBrokers: () => Promise<void>
let paused: AppProcess | undefined
const leaseMs = '1000'

beforeAll(async () => {
  world = await createWorld()
  closeBrokers = await openBrokers(world)
})
afterAll(async () => {
  await world.close()
  await closeBrokers()
})
afterEach(async () => {
  await paused?.end('SIGKILL')
  await world.stopWork()
  await world.emptyRedis()
})

/** A process that waits at a point until it is stopped with SIGSTOP there; what it waits for is over when it goes on. */
async function startPausing(point: string): Promise<AppProcess> {
  const faults = { FAULT_POINTS: `${point}=pause:5000@1`, LEASE_MS: leaseMs }
  paused = await startApp('notification-service', world.env(faults))
  return paused
}

/** When its job was last seen in Redis is not the business of who sends it. */
const sameAs = (row: Row): Row => ({ ...row, queued_at: expect.any(Date) })

/** Waits until a process has come to an end with a confirmation. */
async function untilEnded({ url: at }: AppProcess, outcome: string): Promise<void> {
  const sample = `edp_job_seconds_count{queue="notifications",job="send-confirmation",outcome="${outcome}"} 1`
  await waitFor(async () => (await fetch(`${at}/metrics`)).text(), {
    message: `its job ends: ${outcome}`,
    until: (page) => page.includes(sample),
  })
}

test("a process that is stopped for longer than its lease between the provider's answer and the mark: two e-mails with one id, and its mark changes nothing", async () => {
  const orderId = newOrderId()
  const stopped = await startPausing('job.answered')
  await world.owe(confirmed(orderId))
  await waitFor(() => world.mails(orderId), {
    message: 'its e-mail is out',
    until: (mails) => mails.length === 1,
  })
  stopped.child.kill('SIGSTOP')
  await world.startWork()
  const row = await world.untilRow(orderId, 'confirmation', 'sent')
  expect(await world.mails(orderId)).toHaveLength(2)
  stopped.child.kill('SIGCONT')
  await untilEnded(stopped, 'sent')
  expect(await world.row(orderId, 'confirmation')).toEqual(sameAs(row))
  expect((await world.mails(orderId)).map(({ notificationId }) => notificationId)).toEqual([
    row['id'],
    row['id'],
  ])
  expect(await harm(world, [orderId])).toEqual(unharmed)
})

test('a process that is stopped for longer than its lease before it sends finds out, and sends nothing', async () => {
  const orderId = newOrderId()
  const stopped = await startPausing('job.claimed')
  await world.owe(confirmed(orderId))
  await waitFor(() => world.row(orderId, 'confirmation'), {
    message: 'it has the lease',
    until: (row) => typeof row?.['lease_owner'] === 'string',
  })
  stopped.child.kill('SIGSTOP')
  await world.startWork()
  const row = await world.untilRow(orderId, 'confirmation', 'sent')
  stopped.child.kill('SIGCONT')
  await untilEnded(stopped, 'nothing-to-do')
  expect(await world.mails(orderId)).toHaveLength(1)
  expect(await world.row(orderId, 'confirmation')).toEqual(sameAs(row))
  expect(await harm(world, [orderId])).toEqual(unharmed)
})
