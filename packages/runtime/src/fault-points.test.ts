import { afterEach, expect, test } from 'vitest'
import {
  callAtEachPass,
  callAtFirstPass,
  enableFaultPoints,
  faultPoint,
  InjectedFault,
  parseFaultPoints,
} from './fault-points.ts'

afterEach(() => enableFaultPoints(undefined))

test('nothing is armed unless told', () => {
  expect(faultPoint('relay.after-publish')).toBeUndefined()
})

test('a fault happens at its point only, and with @n at the n-th pass only', async () => {
  enableFaultPoints(parseFaultPoints('a=throw; b=throw@2'))
  expect(faultPoint('other')).toBeUndefined()
  await expect(faultPoint('a')).rejects.toThrow(InjectedFault)
  await expect(faultPoint('a')).rejects.toThrow('injected at a')
  expect(faultPoint('b')).toBeUndefined()
  await expect(faultPoint('b')).rejects.toThrow('injected at b')
  expect(faultPoint('b')).toBeUndefined()
})

test('a pause lasts as long as told', async () => {
  enableFaultPoints(parseFaultPoints('a=pause:30'))
  const startedAt = performance.now()
  await faultPoint('a')
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(29)
})

test.each([
  ['the first pass only', callAtFirstPass, 1],
  ['each pass', callAtEachPass, 2],
])('a call is waited for, at %s', async (_when, callAt, expected) => {
  let calls = 0
  enableFaultPoints(
    callAt('a', async () => {
      calls += 1
    }),
  )
  await faultPoint('a')
  await faultPoint('a')
  expect(calls).toBe(expected)
})

test.each(['a', 'a=', 'a=explode', 'a=pause', 'a=kill@0', 'a=kill;;b=kill', 'A=kill'])(
  '%j is refused',
  (text) => {
    expect(parseFaultPoints(text)).toBeUndefined()
  },
)
