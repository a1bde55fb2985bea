import { expect, test } from 'vitest'
import { createHealth } from './health.ts'

test('ready only between the end of the start and the begin of the stop', () => {
  const health = createHealth()
  expect(health.readiness()).toMatchObject({ ready: false, phase: 'starting' })
  health.markStarted()
  expect(health.readiness()).toMatchObject({ ready: true, phase: 'started' })
  health.markStopping()
  expect(health.readiness()).toMatchObject({ ready: false, phase: 'stopping' })
})

test('a start that ends after the stop began does not make it ready again', () => {
  const health = createHealth()
  health.markStopping()
  health.markStarted()
  expect(health.readiness().ready).toBe(false)
})

test('degraded is ready, unhealthy is not, and a check that throws is unhealthy', () => {
  const health = createHealth()
  health.markStarted()
  health.register('kafka', () => ({ status: 'degraded', detail: 'no broker answers' }))
  expect(health.readiness()).toEqual({
    ready: true,
    phase: 'started',
    status: 'degraded',
    checks: { kafka: { status: 'degraded', detail: 'no broker answers' } },
  })
  health.register('inbox', () => {
    throw new Error('no partition for tomorrow')
  })
  expect(health.readiness()).toMatchObject({ ready: false, status: 'unhealthy' })
})
