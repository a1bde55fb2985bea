import { seededRandom, waitFor } from '@edp/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Alerter, openAlerter } from './alerter.ts'
import { answersTo, takeCommands } from './consumer.ts'
import { deadBody, died, resolved, waiting } from './given.ts'

let alerter: Alerter
beforeAll(async () => {
  alerter = await openAlerter()
})
afterAll(() => alerter.close())

const who = { by: 'ada', why: 'busy' }
const random = seededRandom('the order of facts')

test('three processes, a redrive and operators at the same letters: no deadlock, and every count is right', async () => {
  const bodies = Array.from({ length: 400 }, (_, index) =>
    deadBody({ fingerprint: `busy ${index % 7}` }),
  )
  const byId = new Map(bodies.map((body) => [body.messageId, body]))
  const first = bodies.map((body) => died(body))
  const processes = [alerter.process(), alerter.process(), alerter.process()]
  // The same letters in all of them, each in an order of its own.
  const shuffled = <T>(items: readonly T[]): T[] =>
    items
      .map((item) => ({ item, at: random.next() }))
      .toSorted((a, b) => a.at - b.at)
      .map(({ item }) => item)
  const handling = await Promise.allSettled(processes.map((one) => one.handle(shuffled(first))))
  // Whoever came second to a new letter is told to do it all again, as its lane does.
  for (const [index, { status }] of handling.entries()) {
    if (status === 'rejected') await processes[index]?.handle(first)
  }
  await alerter.request('POST', '/redrives', {
    selection: { all: true },
    ratePerSecond: 1000,
    ...who,
  })
  const { body } = await alerter.request('GET', '/letters?limit=50')
  const operating = body.letters.map(({ letterId }: { letterId: string }, index: number) =>
    alerter.request('POST', `/letters/${letterId}/${index % 2 ? 'archive' : 'restore'}`, who),
  )
  const facts = bodies.flatMap((letter, index) => {
    const change = index % 3 === 0 ? resolved(letter) : waiting(letter, index)
    return index % 5 === 0
      ? [change, died({ ...letter, fingerprint: `busy ${index % 4}` })]
      : [change]
  })
  const results = await Promise.allSettled([
    ...processes.map((one) => one.handle(shuffled(facts))),
    ...operating,
  ])
  expect(results.filter(({ status }) => status === 'rejected')).toEqual([])
  await waitFor(
    async () => {
      await alerter.take(answersTo(await takeCommands(alerter), byId))
      return await alerter.postgres.query(`select 1 from redrives where state <> 'done'`)
    },
    { message: 'the redrive is done', until: (rows) => rows.length === 0 },
  )
  expect(await alerter.countsThatDiffer()).toEqual([])
  const [{ letters } = {}] = await alerter.postgres.query(
    'select count(*)::int as letters from letters',
  )
  expect(letters).toBe(bodies.length)
})
