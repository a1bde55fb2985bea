import { expect, test } from 'vitest'
import { waitFor } from './wait-for.ts'

test('gives the first value that fits', async () => {
  let asked = 0
  const value = await waitFor(() => (asked += 1), {
    message: 'three',
    until: (count) => count === 3,
    intervalMs: 1,
  })
  expect(value).toBe(3)
})

test('asks again after an error', async () => {
  let asked = 0
  const probe = () => {
    asked += 1
    if (asked === 1) throw new Error('not yet')
    return 'there'
  }
  expect(await waitFor(probe, { message: 'it is there', intervalMs: 1 })).toBe('there')
})

test('says what it waited for and what it saw last', async () => {
  const never = waitFor(() => ({ status: 'pending' }), {
    message: 'the order is confirmed',
    until: (order) => order.status === 'confirmed',
    timeoutMs: 10,
    intervalMs: 1,
  })
  await expect(never).rejects.toThrow(
    "waited 10 ms for: the order is confirmed; last value: { status: 'pending' }",
  )
})

test('says which error it got last', async () => {
  const never = waitFor(() => Promise.reject(new Error('no server')), {
    message: 'an answer',
    timeoutMs: 5,
    intervalMs: 1,
  })
  await expect(never).rejects.toThrow('waited 5 ms for: an answer; it threw Error: no server')
})
