import { expect, test } from 'vitest'
import { InFlight } from './in-flight.ts'

test('an id is forgotten only when a fetch that was sent after its delete committed has returned', () => {
  const inFlight = new InFlight()
  inFlight.add(1)
  const before = inFlight.fetchSent()
  inFlight.deleteCommitted([1])
  inFlight.fetchReturned(before)
  expect(inFlight.has(1)).toBe(true)
  inFlight.fetchReturned(inFlight.fetchSent())
  expect(inFlight.has(1)).toBe(false)
})

test('an id whose delete has not committed stays, however many fetches return', () => {
  const inFlight = new InFlight()
  inFlight.add(1)
  inFlight.add(2)
  inFlight.deleteCommitted([1])
  for (let round = 0; round < 3; round += 1) inFlight.fetchReturned(inFlight.fetchSent())
  expect([inFlight.has(1), inFlight.has(2), inFlight.size]).toEqual([false, true, 1])
})

test('what is thrown away is new to the next fetch', () => {
  const inFlight = new InFlight()
  inFlight.add(1)
  inFlight.giveBack([1])
  expect(inFlight.has(1)).toBe(false)
})
