import { newMessageId } from '@edp/event-schemas'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'
import { brokerDead, deadBody, died, garbage, resolved, waiting } from './given.ts'

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter()
})
afterAll(() => alerter.close())

/** The letter of a message, as the list shows it. */
async function letterOf({ messageId }: { messageId: string }) {
  const rows = await alerter.postgres.query(
    'select letter_id from letters where message_id = $1 order by consumer',
    [messageId],
  )
  expect(rows.length).toBeLessThanOrEqual(1)
  const [row] = rows
  if (!row) return undefined
  return (await alerter.request('GET', `/letters/${String(row['letter_id'])}`)).body
}

test('a dead letter is shown with everything that was said of it, and its group counts it', async () => {
  const dead = deadBody({ fingerprint: 'shown', attempts: 8, reason: 'attempts-exhausted' })
  await alerter.take([died(dead), waiting(dead, 3)])
  const letter = await letterOf(dead)
  expect(letter).toMatchObject({
    consumer: dead.consumer,
    messageId: dead.messageId,
    source: 'kafka',
    position: dead.position,
    type: dead.type,
    key: dead.key,
    correlationId: dead.correlationId,
    reason: 'attempts-exhausted',
    error: dead.error,
    attempts: 8,
    firstFailedAt: dead.firstFailedAt,
    lastFailedAt: dead.lastFailedAt,
    fingerprint: 'shown',
    status: 'open',
    outcome: null,
    waitingBehind: 3,
    content: dead.content,
    correctedBody: null,
    notes: [],
    history: [],
  })
  const group = await alerter.request('GET', `/groups/${letter.groupId}`)
  expect(group.body).toMatchObject({ fingerprint: 'shown', open: 1, resolved: 0, archived: 0 })
})

test('everything twice, in one batch and in a later one, changes nothing', async () => {
  const one = deadBody({ fingerprint: 'twice' })
  const two = deadBody({ fingerprint: 'twice' })
  const batch = [died(one), died(two), waiting(one, 2), resolved(two), brokerDead(), garbage('{')]
  await alerter.take([...batch, ...batch])
  const before = await alerter.postgres.query('select * from letters order by letter_id')
  const groups = await alerter.postgres.query('select * from letter_groups order by group_id')
  await alerter.take(batch)
  for (const message of batch) await alerter.take([message])
  expect(await alerter.postgres.query('select * from letters order by letter_id')).toEqual(before)
  expect(await alerter.postgres.query('select * from letter_groups order by group_id')).toEqual(
    groups,
  )
  expect(await letterOf(two)).toMatchObject({ status: 'resolved', outcome: 'applied' })
})

test('a letter that fails again after its redrive is open again, with its history', async () => {
  const dead = deadBody({ fingerprint: 'again', firstFailedAt: '2026-01-01T00:00:00.000Z' })
  const redriveId = newMessageId()
  await alerter.take([died(dead)])
  await alerter.take([resolved(dead)])
  expect(await letterOf(dead)).toMatchObject({ status: 'resolved' })
  const again = {
    ...dead,
    error: { ...dead.error, message: 'another reason' },
    attempts: 9,
    fingerprint: 'another cause',
    firstFailedAt: '2026-01-02T00:00:00.000Z',
    redriveId,
  }
  await alerter.take([died(again)])
  const letter = await letterOf(dead)
  expect(letter).toMatchObject({
    status: 'open',
    outcome: null,
    attempts: 9,
    fingerprint: 'another cause',
    firstFailedAt: '2026-01-01T00:00:00.000Z',
    error: { message: 'another reason' },
  })
  expect(letter.history.map((entry: { action: string }) => entry.action)).toEqual([
    'letter.resolved',
    'letter.failed-again',
  ])
  expect(await alerter.countsThatDiffer()).toEqual([])
})

test('a topic that is read from its beginning again, after the inbox has forgotten it, reopens nothing', async () => {
  const dead = deadBody({ fingerprint: 'rewound' })
  const long = new Date(Date.now() - 10 * 60_000)
  const later = new Date(Date.now() - 5 * 60_000)
  const topic = [
    died(dead, { now: long }),
    resolved(dead, {}, { now: later }),
    garbage('not JSON', { ce_type: 'message.dead-lettered.v1' }),
  ]
  await alerter.take(topic)
  const before = await alerter.postgres.query('select * from letters order by letter_id')
  await alerter.postgres.query('delete from inbox')
  await alerter.take(topic.slice(0, 1))
  expect(await letterOf(dead)).toMatchObject({ status: 'resolved' })
  await alerter.take(topic)
  const after = await alerter.postgres.query('select * from letters order by letter_id')
  expect(after.map((row) => row['status'])).toEqual(before.map((row) => row['status']))
  expect(after.length).toBe(before.length)
})

test('a resolution that comes before its letter is applied when that comes; one of nothing harms nothing', async () => {
  const dead = deadBody({ fingerprint: 'early' })
  const letter = died(dead)
  await alerter.take([resolved(dead, { outcome: 'already-applied' }), waiting(deadBody(), 3)])
  expect(await letterOf(dead)).toBeUndefined()
  await alerter.take([letter])
  expect(await letterOf(dead)).toMatchObject({ status: 'resolved', outcome: 'already-applied' })
  expect(await alerter.postgres.query('select * from early_resolutions')).toEqual([])
})

test('whatever lies on the topic is kept raw, and stops nothing behind it', async () => {
  const dead = deadBody({ fingerprint: 'behind garbage' })
  const monstrous = died(
    deadBody({
      key: 'k'.repeat(20_000),
      type: `t\0${'t'.repeat(10_000)}`,
      error: { code: 'x\0y', message: 'nul \0 and \ud800 half a pair', stack: null },
      fingerprint: 'f'.repeat(5000),
      attempts: Number.MAX_SAFE_INTEGER,
    }),
  )
  const future = died(deadBody())
  const messages = [
    garbage(''),
    garbage(Buffer.from([0xff, 0xfe, 0x00, 0x01])),
    garbage('[]', { ce_type: 'message.dead-lettered.v1' }),
    garbage('{}', { ...died(deadBody()).headers, ce_type: 'message.dead-lettered.v1' }),
    garbage('{}', { ...died(deadBody()).headers, ce_type: 'message.resolved.v2' }),
    garbage('{}', { ...future.headers, ce_id: 'ffffffff-ffff-7fff-bfff-ffffffffffff' }),
    garbage('x'.repeat(3 * 1024 * 1024), { ce_type: 'no version', ['h'.repeat(9000)]: '\0\ud800' }),
    monstrous,
    died(deadBody({ consumer: `${'long'.repeat(100)}.kafka` })),
    died(dead),
  ]
  await alerter.take(messages)
  expect(await letterOf(dead)).toMatchObject({ status: 'open' })
  const { body } = await alerter.request('GET', '/letters?consumer=dlq-alerter.kafka&limit=100')
  const positions = new Set(body.letters.map((letter: { position: string }) => letter.position))
  for (const { position } of messages.slice(0, 7)) expect(positions).toContain(position)
  const big = body.letters.find(
    (letter: { position: string }) => letter.position === messages[6]?.position,
  )
  const detail = await alerter.request('GET', `/letters/${big.letterId}`)
  expect(detail.body.content).toMatchObject({ bytes: 3 * 1024 * 1024, encoding: 'utf8' })
  expect(detail.body.content.body).toHaveLength(64 * 1024)
})

test('a type that nobody here knows is passed over', async () => {
  const counted = 'select count(*)::int as letters from letters'
  const before = await alerter.postgres.query(counted)
  await alerter.take([garbage('{}', { ce_type: 'message.praised.v1' })])
  expect(await alerter.postgres.query(counted)).toEqual(before)
})

test('what RabbitMQ dead-lettered is a letter of the consumer of its queue, with all of its body', async () => {
  const messageId = newMessageId()
  const body = JSON.stringify({ orderId: newMessageId(), text: 'x'.repeat(200_000) })
  const message = brokerDead({ messageId, body, headers: { 'x-delivery-count': '7' } })
  const again = { ...message, headers: { ...message.headers, 'x-delivery-count': '8' } }
  await alerter.take([message])
  await alerter.take([again])
  const letter = await letterOf({ messageId })
  expect(letter).toMatchObject({
    consumer: 'inventory-service.rabbitmq',
    source: 'dlq',
    type: 'stock.reserve.v1',
    reason: 'delivery-limit',
    status: 'open',
    history: [],
    content: { body, encoding: 'utf8', bytes: body.length },
  })
})

test('what cannot be read in the queue of dead letters is kept under the consumer of its queue, else raw', async () => {
  const bytes = Buffer.from([0, 255, 1])
  const unreadable = brokerDead({
    reason: 'expired',
    body: bytes,
    headers: { cloudEvents_id: '7' },
  })
  const elsewhere = brokerDead({ queue: 'another.queue', body: bytes })
  const noDeath = { ...brokerDead(), headers: { 'x-delivery-count': '3' } }
  const future = brokerDead({ diedAt: new Date('9998-01-01') })
  const messages = [unreadable, elsewhere, noDeath, future]
  await alerter.take(messages)
  await alerter.take(messages)
  const page = async (consumer: string, q: string) =>
    (await alerter.request('GET', `/letters?consumer=${consumer}&${q}`)).body.letters
  const [ours] = await page('inventory-service.rabbitmq', 'reason=expired')
  expect(ours).toMatchObject({ type: 'stock.reserve.v1', reason: 'expired' })
  const raw = await page('dlq-alerter.rabbitmq', 'limit=100')
  expect(raw).toHaveLength(3)
  const detail = await alerter.request('GET', `/letters/${ours.letterId}`)
  expect(detail.body.content).toMatchObject({ encoding: 'base64', bytes: 3 })
})
