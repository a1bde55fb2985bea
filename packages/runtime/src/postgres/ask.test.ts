import { expect, test } from 'vitest'
import { AppError } from '../errors.ts'
import { ask } from './ask.ts'

type Done = (error: Error | null, result?: unknown) => void

/** A connection that leaves the answer to the test. */
function connection() {
  const asked: { text: string; done: Done }[] = []
  const query = ({ text }: { text: string }, done: Done) => {
    asked.push({ text, done })
  }
  return { asked, client: { query } as unknown as Parameters<typeof ask>[0] }
}

test('gives what was answered', async () => {
  const { asked, client } = connection()
  const answer = ask(client, { text: 'select 1' }, 1000)
  asked[0]?.done(null, { rows: [{ one: 1 }] })
  expect(await answer).toEqual({ rows: [{ one: 1 }] })
  expect(asked.map(({ text }) => text)).toEqual(['select 1'])
})

test('throws the error of Postgres as it is', async () => {
  const { asked, client } = connection()
  const answer = ask(client, { text: 'select 1' })
  const error = new Error('division by zero')
  asked[0]?.done(error)
  await expect(answer).rejects.toBe(error)
})

test('a server that says nothing is an outage', async () => {
  const { client } = connection()
  const error = await ask(client, { text: 'select 1' }, 5).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(AppError)
  expect(error).toMatchObject({ code: 'postgres-silent', retry: 'transient-everything' })
})
