import type { MessageDeadLetteredV1 } from '@edp/event-schemas'
import { waitFor } from '@edp/testkit'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'
import { answersTo, type Command, progressOf, takeCommands } from './consumer.ts'
import { brokerDead, deadBody, died, resolved } from './given.ts'

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter()
})
beforeEach(() =>
  alerter.postgres.query(
    `with l as (delete from letters), t as (delete from letter_texts), g as (delete from letter_groups) delete from outbox`,
  ),
)
afterAll(() => alerter.close())

const who = { by: 'ada', why: 'the schema is mended' }

/** So many open letters, by message id. */
async function openLetters(
  count: number,
  differently: Partial<MessageDeadLetteredV1> = {},
): Promise<Map<string, MessageDeadLetteredV1>> {
  const bodies = Array.from({ length: count }, () => deadBody(differently))
  await alerter.take(bodies.map((body) => died(body)))
  return new Map(bodies.map((body) => [body.messageId, body]))
}

async function letterIdOf(messageId: string): Promise<string> {
  const [row] = await alerter.postgres.query(
    'select letter_id from letters where message_id = $1',
    [messageId],
  )
  return String(row?.['letter_id'])
}

async function statuses(): Promise<Record<string, unknown>> {
  const rows = await alerter.postgres.query(
    'select status, count(*)::int as letters from letters group by status',
  )
  return Object.fromEntries(rows.map((row) => [row['status'], row['letters']]))
}

/** Waits until so many commands were sent, and takes them. */
async function commandsWithin(count: number): Promise<Command[]> {
  const commands: Command[] = []
  await waitFor(
    async () => {
      commands.push(...(await takeCommands(alerter)))
      return commands.length >= count
    },
    { message: `${count} commands` },
  )
  return commands
}

test('a letter goes back to the consumer that failed, and is resolved when that says so', async () => {
  const [letter] = (await openLetters(1)).values()
  if (!letter) throw new Error('no letter')
  const id = await letterIdOf(letter.messageId)
  const started = await alerter.request('POST', `/letters/${id}/redrive`, who)
  expect(started).toMatchObject({ status: 202, location: `/redrives/${started.body.redriveId}` })
  await waitFor(async () => (await alerter.sent(letter.messageId)).length, {
    message: 'it is sent',
  })
  expect(await alerter.sent(letter.messageId)).toEqual([
    {
      type: 'message.redrive.v1',
      destination: 'test.redrive/test.inventory-service.redrive',
      payload: {
        consumer: letter.consumer,
        messageId: letter.messageId,
        redriveId: started.body.redriveId,
        by: 'ada',
        body: null,
        message: null,
      },
    },
  ])
  const during = (await alerter.request('GET', `/letters/${id}`)).body
  expect(during).toMatchObject({ status: 'redriving', redriveId: started.body.redriveId })
  await alerter.take([resolved(letter, { redriveId: started.body.redriveId })])
  await waitFor(() => progressOf(alerter, started), {
    message: 'the redrive is done',
    until: ({ state }) => state === 'done',
  })
  expect(await progressOf(alerter, started)).toMatchObject({ selected: 1, sent: 1, resolved: 1 })
  const after = (await alerter.request('GET', `/letters/${id}`)).body
  expect(after).toMatchObject({ status: 'resolved', outcome: 'applied', redriveId: null })
  expect(after.history.map(({ action, by }: Record<string, string>) => [action, by])).toEqual([
    ['letter.redriven', 'ada'],
    ['letter.resolved', letter.consumer],
  ])
  expect(await alerter.countsThatDiffer()).toEqual([])
})

test('a letter that fails again is open again, and its redrive says so', async () => {
  const letters = await openLetters(3, { fingerprint: 'again' })
  const selection = { consumer: 'inventory-service.kafka' }
  const started = await alerter.request('POST', '/redrives', { selection, ...who })
  const commands = await commandsWithin(3)
  const bad = commands[1]?.messageId
  await alerter.take(answersTo(commands, letters, (messageId) => messageId === bad))
  await waitFor(() => progressOf(alerter, started), {
    message: 'the redrive is done',
    until: ({ state }) => state === 'done',
  })
  expect(await progressOf(alerter, started)).toMatchObject({ resolved: 2, failed: 1, pending: 0 })
  expect(await statuses()).toEqual({ open: 1, resolved: 2 })
})

test('the canary goes first; when one fails nothing more is sent until a person says so', async () => {
  const letters = await openLetters(10)
  const request = { selection: { all: true }, canary: 3, ratePerSecond: 1000, ...who }
  const started = await alerter.request('POST', '/redrives', request)
  const canary = await commandsWithin(3)
  // Some steps more: what is not to be sent must have had its time.
  await waitFor(() => progressOf(alerter, started), {
    message: 'the canary is out',
    until: ({ sent }) => sent === 3,
  })
  const bad = canary[2]?.messageId
  await alerter.take(answersTo(canary, letters, (messageId) => messageId === bad))
  await waitFor(() => progressOf(alerter, started), {
    message: 'it is paused',
    until: ({ state }) => state === 'paused',
  })
  expect(await progressOf(alerter, started)).toMatchObject({
    canary: 'failed',
    sent: 3,
    pending: 7,
  })
  expect(await takeCommands(alerter)).toEqual([])
  const path = `/redrives/${started.body.redriveId}/resume`
  expect(await alerter.request('POST', path, { by: 'ada' })).toMatchObject({ status: 200 })
  await alerter.take(answersTo(await commandsWithin(7), letters))
  await waitFor(() => progressOf(alerter, started), {
    message: 'it is done',
    until: ({ state }) => state === 'done',
  })
  expect(await progressOf(alerter, started)).toMatchObject({
    canary: 'overridden',
    resolved: 9,
    failed: 1,
  })
  expect(await alerter.request('POST', path, { by: 'ada' })).toMatchObject({ status: 409 })
})

test('when every letter of the canary is resolved the others follow by themselves', async () => {
  const letters = await openLetters(6)
  const request = { selection: { all: true }, canary: 2, ratePerSecond: 1000, ...who }
  const started = await alerter.request('POST', '/redrives', request)
  await alerter.take(answersTo(await commandsWithin(2), letters))
  await alerter.take(answersTo(await commandsWithin(4), letters))
  await waitFor(() => progressOf(alerter, started), {
    message: 'it is done',
    until: ({ state }) => state === 'done',
  })
  expect(await progressOf(alerter, started)).toMatchObject({ canary: 'passed', resolved: 6 })
})

test('a redrive that is cancelled sends no more, and the rest stays open', async () => {
  await openLetters(50)
  const request = { selection: { all: true }, ratePerSecond: 5, ...who }
  const started = await alerter.request('POST', '/redrives', request)
  await waitFor(() => progressOf(alerter, started), {
    message: 'it has begun',
    until: ({ sent }) => sent > 0,
  })
  const path = `/redrives/${started.body.redriveId}/cancel`
  const cancelled = await alerter.request('POST', path, { by: 'ada' })
  expect(cancelled.body).toMatchObject({ state: 'cancelled', endedAt: expect.any(String) })
  const { sent, pending } = cancelled.body.progress
  expect(sent).toBeLessThan(50)
  expect(pending).toBe(50 - sent)
  expect(await statuses()).toEqual({ open: pending, redriving: sent })
  expect(await alerter.request('POST', path, { by: 'ada' })).toMatchObject({ status: 409 })
})

test('a redrive goes no faster than its rate', async () => {
  await openLetters(60)
  const request = { selection: { all: true }, ratePerSecond: 100, ...who }
  const startedAt = performance.now()
  const started = await alerter.request('POST', '/redrives', request)
  await waitFor(() => progressOf(alerter, started), {
    message: 'all are sent',
    until: ({ pending }) => pending === 0,
  })
  // The last 20 of 60 leave after the first 40 have used up their time.
  expect(performance.now() - startedAt).toBeGreaterThan(350)
})

test('two redrives of one letter send it once', async () => {
  await openLetters(20)
  const request = { selection: { all: true }, ratePerSecond: 1000, ...who }
  const both = await Promise.all([
    alerter.request('POST', '/redrives', request),
    alerter.request('POST', '/redrives', request),
  ])
  await waitFor(() => Promise.all(both.map((one) => progressOf(alerter, one))), {
    message: 'nothing is pending',
    until: (progress) => progress.every(({ pending }) => pending === 0),
  })
  expect(await takeCommands(alerter)).toHaveLength(20)
})

test('a dry run sends nothing and says what would be sent', async () => {
  await openLetters(30)
  await openLetters(2, { consumer: 'outbox-relay.inventory', source: 'outbox' })
  const request = { selection: { all: true }, dryRun: true, ...who }
  const { status, body } = await alerter.request('POST', '/redrives', request)
  expect({ status, selected: body.selected, left: body.notTakenBack }).toEqual({
    status: 200,
    selected: 30,
    left: 2,
  })
  expect(body.sample).toHaveLength(20)
  expect(await statuses()).toEqual({ open: 32 })
})

test('letters that nobody takes back are refused, with the command that puts them back', async () => {
  const relayed = { consumer: 'outbox-relay.inventory', source: 'outbox' as const }
  const [messageId = ''] = (await openLetters(1, relayed)).keys()
  const id = await letterIdOf(messageId)
  const one = await alerter.request('POST', `/letters/${id}/redrive`, who)
  expect(one.status).toBe(409)
  expect(one.body.detail).toContain('pnpm edp outbox put-back')
  const selection = { consumer: 'outbox-relay.inventory' }
  const many = await alerter.request('POST', '/redrives', { selection, ...who })
  expect(many.status).toBe(409)
  const none = { consumer: 'payment-service.kafka' }
  const empty = await alerter.request('POST', '/redrives', { selection: none, ...who })
  expect(empty.body.type).toBe('urn:problem:nothing-open')
  const withoutRedrive = `select rl.* from redrive_letters rl left join redrives r using (redrive_id) where r.redrive_id is null`
  expect(await alerter.postgres.query(withoutRedrive)).toEqual([])
})

test('what RabbitMQ dead-lettered goes back with the message itself, without what the broker said', async () => {
  const message = brokerDead()
  await alerter.take([message])
  const messageId = String(message.headers['cloudEvents_id'])
  const id = await letterIdOf(messageId)
  await alerter.request('POST', `/letters/${id}/redrive`, who)
  const [command] = await commandsWithin(1)
  const { 'x-death': _, ...headers } = message.headers
  expect(command?.payload).toMatchObject({
    consumer: 'inventory-service.rabbitmq',
    messageId,
    body: null,
    message: { headers, body: Buffer.from(message.body).toString(), encoding: 'utf8' },
  })
  // A second copy dies meanwhile: the broker says nothing of the redrive.
  await alerter.take([brokerDead({ messageId })])
  expect((await alerter.request('GET', `/letters/${id}`)).body.status).toBe('redriving')
})
