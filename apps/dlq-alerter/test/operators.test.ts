import { newMessageId } from '@edp/event-schemas'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'
import { takeCommands } from './consumer.ts'
import { brokerDead, deadBody, deadOrder, died, resolved, waiting } from './given.ts'

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter({ redrives: false })
})
afterAll(() => alerter.close())

const who = { by: 'ada', why: 'nobody needs it' }

/** An open letter, by its id. */
async function openLetter(body = deadBody()) {
  await alerter.take([died(body)])
  return { body, id: await letterIdOf(body.messageId) }
}

async function letterIdOf(messageId: string): Promise<string> {
  const [row] = await alerter.postgres.query(
    'select letter_id from letters where message_id = $1',
    [messageId],
  )
  return String(row?.['letter_id'])
}

test('an archived letter is given up by its consumer, and cannot come back then', async () => {
  const { body, id } = await openLetter()
  await alerter.take([waiting(body, 4)])
  const archived = await alerter.request('POST', `/letters/${id}/archive`, who)
  expect(archived).toMatchObject({ status: 200, body: { status: 'archived', outcome: null } })
  const { consumer, messageId } = body
  expect(await alerter.sent(messageId)).toEqual([
    {
      type: 'message.discard.v1',
      destination: 'test.redrive/test.inventory-service.redrive',
      payload: { consumer, messageId, ...who },
    },
  ])
  expect(await alerter.request('POST', `/letters/${id}/archive`, who)).toMatchObject({
    status: 409,
  })
  await alerter.take([resolved(body, { outcome: 'discarded' })])
  const ended = await alerter.request('GET', `/letters/${id}`)
  expect(ended.body).toMatchObject({ status: 'archived', outcome: 'discarded', waitingBehind: 0 })
  expect(await alerter.request('POST', `/letters/${id}/restore`, who)).toMatchObject({
    status: 409,
    body: { type: 'urn:problem:discarded' },
  })
})

test('a letter that is restored before its consumer heard of it is open; the discard ends it all the same', async () => {
  const { body, id } = await openLetter()
  await alerter.request('POST', `/letters/${id}/archive`, who)
  const restored = await alerter.request('POST', `/letters/${id}/restore`, who)
  expect(restored).toMatchObject({ status: 200, body: { status: 'open' } })
  await alerter.take([resolved(body, { outcome: 'discarded' })])
  const { body: ended } = await alerter.request('GET', `/letters/${id}`)
  expect(ended).toMatchObject({ status: 'resolved', outcome: 'discarded' })
  expect(ended.history.map(({ action }: { action: string }) => action)).toEqual([
    'letter.archived',
    'letter.restored',
    'letter.resolved',
  ])
  expect(await alerter.request('POST', `/letters/${id}/restore`, who)).toMatchObject({
    status: 409,
  })
})

test('a letter that nobody takes back is archived without a word, and opens when it dies again', async () => {
  const body = deadBody({ consumer: 'outbox-relay.orders', source: 'outbox' })
  const { id } = await openLetter(body)
  await takeCommands(alerter)
  await alerter.request('POST', `/letters/${id}/archive`, who)
  expect(await takeCommands(alerter)).toEqual([])
  await alerter.take([died(body)])
  expect((await alerter.request('GET', `/letters/${id}`)).body.status).toBe('open')
  expect(await alerter.countsThatDiffer()).toEqual([])
})

test('a corrected body must fit the schema and stay about the same order; the difference is shown and recorded', async () => {
  const { body, id } = await openLetter()
  const path = `/letters/${id}/body`
  const good = {
    ...deadOrder(String(body.key)),
    lines: [{ sku: 'cup', quantity: 2, unitPriceMinor: 100 }],
  }
  const put = (corrected: unknown) =>
    alerter.request('PUT', path, { body: JSON.stringify(corrected), ...who })
  expect(await put(deadOrder(String(body.key)))).toMatchObject({
    status: 422,
    body: {
      type: 'urn:problem:not-valid',
      errors: [{ message: expect.stringContaining('quantity') }],
    },
  })
  expect(await put({ ...good, orderId: newMessageId() })).toMatchObject({
    status: 422,
    body: { type: 'urn:problem:other-key' },
  })
  const answer = await put(good)
  expect(answer).toMatchObject({
    status: 200,
    body: { diff: [{ path: 'lines.0.quantity', before: -2, after: 2 }] },
  })
  const { body: letter } = await alerter.request('GET', `/letters/${id}`)
  expect(JSON.parse(letter.correctedBody)).toEqual(good)
  expect(letter.content.body).toBe(body.content.body)
  expect(letter.history).toMatchObject([
    { action: 'letter.corrected', by: 'ada', why: who.why, after: { diff: answer.body.diff } },
  ])
  const removed = await alerter.request('DELETE', path)
  expect(removed).toMatchObject({ status: 200, body: { correctedBody: null } })
})

test('bodies that cannot be corrected here are refused, each with its reason', async () => {
  const big = deadBody({ content: { ...deadBody().content, bytes: 100_000 } })
  const unknown = deadBody({ type: 'order.praised.v1' })
  const relayed = deadBody({ consumer: 'outbox-relay.orders', source: 'outbox' })
  const over = deadBody()
  const problems: string[] = []
  for (const body of [big, unknown, relayed, over]) {
    const { id } = await openLetter(body)
    if (body === over) await alerter.take([resolved(over)])
    const answer = await alerter.request('PUT', `/letters/${id}/body`, { body: '{}', ...who })
    problems.push(`${answer.status} ${answer.body.type}`)
  }
  expect(problems).toEqual([
    '409 urn:problem:body-truncated',
    '422 urn:problem:no-schema',
    '409 urn:problem:at-the-relay',
    '409 urn:problem:wrong-status',
  ])
})

test('a body that was never JSON is held to the key of its message', async () => {
  const key = newMessageId()
  const { id } = await openLetter(
    deadBody({ key, content: { headers: {}, body: 'not JSON', encoding: 'utf8', bytes: 8 } }),
  )
  const lines = [{ sku: 'cup', quantity: 2, unitPriceMinor: 100 }]
  const put = (orderId: string) =>
    alerter.request('PUT', `/letters/${id}/body`, {
      body: JSON.stringify({ ...deadOrder(orderId), lines }),
      ...who,
    })
  expect((await put(newMessageId())).status).toBe(422)
  expect((await put(key)).status).toBe(200)
})

test('a group is ignored until a time or a count, and only by a count that is not reached', async () => {
  const { id } = await openLetter(deadBody({ fingerprint: 'ignored' }))
  const { groupId } = (await alerter.request('GET', `/letters/${id}`)).body
  const path = `/groups/${groupId}/ignore`
  expect((await alerter.request('POST', path, who)).status).toBe(400)
  expect((await alerter.request('POST', path, { untilCount: 1, ...who })).status).toBe(409)
  const until = '2030-01-01T00:00:00.000Z'
  const ignored = await alerter.request('POST', path, { until, untilCount: 10, ...who })
  expect(ignored.body).toMatchObject({ ignoredUntil: until, ignoredUntilCount: 10, open: 1 })
  const heeded = await alerter.request('DELETE', path, { by: 'ada' })
  expect(heeded.body).toMatchObject({ ignoredUntil: null, ignoredUntilCount: null })
  const { body } = await alerter.request('GET', `/audit?group=${groupId}`)
  expect(body.entries).toMatchObject([
    { action: 'group.heeded', by: 'ada', before: { ignoredUntilCount: 10 } },
    { action: 'group.ignored', by: 'ada', why: who.why, after: { ignoredUntil: until } },
  ])
})

test('notes stay with their letter, in their order', async () => {
  const { id } = await openLetter()
  await alerter.request('POST', `/letters/${id}/notes`, { by: 'ada', text: 'looks like\na typo' })
  const noted = await alerter.request('POST', `/letters/${id}/notes`, { by: 'bob', text: 'it is' })
  expect(noted.status).toBe(201)
  expect(noted.body.notes).toMatchObject([
    { by: 'ada', text: 'looks like\na typo' },
    { by: 'bob', text: 'it is' },
  ])
})

test('letters are found by each filter and by what is in them, page by page', async () => {
  const type = 'stock.reserved.v1'
  const consumer = 'payment-service.kafka'
  const bodies = Array.from({ length: 7 }, () =>
    deadBody({ type, consumer, reason: 'too-old', fingerprint: 'found' }),
  )
  const [first] = bodies
  if (!first) throw new Error('no letter')
  const special = 'a 100%_special\\ quantity'
  const marked = deadBody({ consumer, error: { code: 'x', message: special, stack: null } })
  const dead = brokerDead({ body: JSON.stringify({ note: 'Needle in a HAYSTACK' }) })
  await alerter.take([...bodies.map((body) => died(body)), died(marked), dead])
  const find = async (query: string) => (await alerter.request('GET', `/letters?${query}`)).body
  const counted = async (query: string) => (await find(query)).letters.length
  expect(await counted(`type=${type}&status=open`)).toBe(7)
  expect(await counted('reason=too-old')).toBe(7)
  expect(await counted(`consumer=${consumer}&limit=100`)).toBe(8)
  expect(await counted(`key=${first.key}`)).toBe(1)
  expect(await counted(`q=${String(first.key).toUpperCase().slice(2, 30)}`)).toBe(1)
  expect(await counted(`q=${encodeURIComponent('100%_Special\\')}`)).toBe(1)
  expect(await counted(`q=${encodeURIComponent('100%special')}`)).toBe(0)
  expect(await counted('q=needle%20in%20a%20haystack')).toBe(1)
  const groupId = (await find('reason=too-old')).letters[0].groupId
  const seen = new Set<string>()
  for (let cursor = ''; ; ) {
    const page = await find(`group=${groupId}&limit=3${cursor}`)
    for (const { letterId } of page.letters) seen.add(letterId)
    if (page.nextCursor === null) break
    cursor = `&cursor=${page.nextCursor}`
  }
  expect(seen.size).toBe(7)
  const [listed] = (await find(`key=${first.key}`)).letters
  expect(listed).not.toHaveProperty('content')
  expect(listed.error).not.toHaveProperty('stack')
})

test('groups are found by each filter, what failed last first, page by page', async () => {
  const bodies = Array.from({ length: 5 }, (_, index) =>
    deadBody({
      consumer: 'order-service.rabbitmq',
      fingerprint: `paged ${index}`,
      lastFailedAt: new Date(Date.UTC(2026, 0, index + 1)).toISOString(),
    }),
  )
  await alerter.take(bodies.map((body) => died(body)))
  const seen: string[] = []
  for (let cursor = ''; ; ) {
    const query = `consumer=order-service.rabbitmq&status=open&q=QUANTITY&limit=2${cursor}`
    const { body } = await alerter.request('GET', `/groups?${query}`)
    seen.push(...body.groups.map((group: { fingerprint: string }) => group.fingerprint))
    if (body.nextCursor === null) break
    cursor = `&cursor=${body.nextCursor}`
  }
  expect(seen).toEqual(['paged 4', 'paged 3', 'paged 2', 'paged 1', 'paged 0'])
})

test('whatever is wrong with a request is a problem with its status, and what is not known is 404', async () => {
  const { id } = await openLetter()
  const nobody = newMessageId()
  const answers = await Promise.all([
    alerter.request('GET', '/letters?colour=red'),
    alerter.request('GET', '/letters?limit=0'),
    alerter.request('GET', '/letters?q=ab'),
    alerter.request('GET', '/letters?key=%00'),
    alerter.request('GET', '/letters/7'),
    alerter.request('POST', `/letters/${id}/archive`, { by: 'ada' }),
    alerter.request('POST', `/letters/${id}/archive`, { ...who, extra: 1 }),
    alerter.request('POST', '/redrives', { selection: {}, ...who }),
    alerter.request('POST', '/redrives', { selection: { all: true }, ratePerSecond: 0, ...who }),
    alerter.request('GET', '/groups?cursor=x'),
  ])
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 400))
  const unknown = await Promise.all([
    alerter.request('GET', `/letters/${nobody}`),
    alerter.request('GET', `/groups/${nobody}`),
    alerter.request('GET', `/redrives/${nobody}`),
    alerter.request('POST', `/letters/${nobody}/archive`, who),
    alerter.request('POST', `/letters/${nobody}/restore`, who),
    alerter.request('POST', `/letters/${nobody}/redrive`, who),
    alerter.request('POST', `/letters/${nobody}/notes`, { by: 'ada', text: 'x' }),
    alerter.request('PUT', `/letters/${nobody}/body`, { body: '{}', ...who }),
    alerter.request('DELETE', `/letters/${nobody}/body`),
    alerter.request('POST', `/groups/${nobody}/ignore`, { untilCount: 5, ...who }),
    alerter.request('POST', `/redrives/${nobody}/cancel`, { by: 'ada' }),
  ])
  expect(unknown.map(({ status }) => status)).toEqual(unknown.map(() => 404))
  expect((await alerter.request('GET', '/docs/json')).body.openapi).toBe('3.1.0')
})
