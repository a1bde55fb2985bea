import { expect, test } from 'vitest'
import { Link } from './link.ts'

function linkTo(open: () => Promise<string>, backoff = { baseMs: 0, capMs: 0 }) {
  const closed: string[] = []
  const link = new Link({ open, close: async (connection) => closed.push(connection), backoff })
  return { link, closed }
}

test('a connection is made once, by whoever needs it first', async () => {
  let opened = 0
  const { link } = linkTo(async () => `connection ${(opened += 1)}`)
  expect(await Promise.all([link.get(), link.get()])).toEqual(['connection 1', 'connection 1'])
  expect(await link.get()).toBe('connection 1')
})

test('a dropped connection is closed and the next one is new', async () => {
  let opened = 0
  const { link, closed } = linkTo(async () => `connection ${(opened += 1)}`)
  await link.get()
  link.drop()
  expect(await link.get()).toBe('connection 2')
  expect(closed).toEqual(['connection 1'])
  link.renew()
  expect(await link.get()).toBe('connection 3')
})

test('a connection that cannot be made says so, and is tried again by the next call', async () => {
  const answers = [Promise.reject(new Error('refused')), Promise.resolve('connection')]
  answers[0]?.catch(() => undefined)
  const { link } = linkTo(() => answers.shift() ?? Promise.reject(new Error('too many')))
  await expect(link.get()).rejects.toMatchObject({
    code: 'destination-unavailable',
    retry: 'transient-everything',
    message: 'cannot publish: refused',
  })
  expect(await link.get()).toBe('connection')
})

test('after failures nobody tries again before the wait is over', async () => {
  let tries = 0
  const refuse = async (): Promise<string> => {
    tries += 1
    throw new Error('refused')
  }
  const { link } = linkTo(refuse, { baseMs: 1e9, capMs: 1e9 })
  for (let call = 0; call < 5; call += 1) {
    await expect(link.get()).rejects.toMatchObject({ code: 'destination-unavailable' })
  }
  expect(tries).toBe(1)
})

test('closing closes the connection, and nothing when there is none', async () => {
  const { link, closed } = linkTo(async () => 'connection')
  await link.close()
  await link.get()
  await link.close()
  await link.close()
  expect(closed).toEqual(['connection'])
})
