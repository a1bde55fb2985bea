import { expect, test } from 'vitest'
import { type Component, createLifecycle, type Lifecycle } from './lifecycle.ts'
import { createLogger } from './logger.ts'

const logger = createLogger('test', 'silent')

function recorded(
  log: string[],
  name: string,
  behaviour: { start?: () => Promise<void>; stop?: () => Promise<void> } = {},
): Component {
  return {
    name,
    async start() {
      log.push(`+${name}`)
      await behaviour.start?.()
    },
    async stop() {
      log.push(`-${name}`)
      await behaviour.stop?.()
    },
  }
}

function lifecycleOf(...components: Component[]): Lifecycle {
  return createLifecycle(components, { logger, shutdownTimeoutMs: 1000 })
}

test('starts in order and stops in reverse order', async () => {
  const log: string[] = []
  const lifecycle = lifecycleOf(recorded(log, 'a'), recorded(log, 'b'), recorded(log, 'c'))
  await lifecycle.start()
  await lifecycle.stop()
  expect(log).toEqual(['+a', '+b', '+c', '-c', '-b', '-a'])
})

test('a second stop waits for the first and stops nothing twice', async () => {
  const log: string[] = []
  const gate = Promise.withResolvers<void>()
  const lifecycle = lifecycleOf(recorded(log, 'a', { stop: () => gate.promise }))
  await lifecycle.start()
  const first = lifecycle.stop()
  let secondEnded = false
  const second = lifecycle.stop().then(() => {
    secondEnded = true
    return undefined
  })
  await Promise.resolve()
  expect(secondEnded).toBe(false)
  gate.resolve()
  await Promise.all([first, second])
  expect(log).toEqual(['+a', '-a'])
})

test('a stop during a start ends it and stops what was started; what follows never starts', async () => {
  const log: string[] = []
  const waiting = Promise.withResolvers<void>()
  const lifecycle = lifecycleOf(
    recorded(log, 'a'),
    recorded(log, 'b', {
      start: () => waiting.promise,
      stop: async () => waiting.resolve(),
    }),
    recorded(log, 'c'),
  )
  const start = lifecycle.start()
  await expect.poll(() => log).toContain('+b')
  await lifecycle.stop()
  await start
  expect(log.slice(0, 2)).toEqual(['+a', '+b'])
  expect(log).not.toContain('+c')
  expect(log.at(-1)).toBe('-a')
  expect(log.filter((entry) => entry === '-a')).toHaveLength(1)
})

test('a stop before the start keeps it from starting', async () => {
  const log: string[] = []
  const lifecycle = lifecycleOf(recorded(log, 'a'))
  await lifecycle.stop()
  await lifecycle.start()
  expect(log).toEqual([])
})

test('a failed start stops what was started and tells the cause', async () => {
  const log: string[] = []
  const lifecycle = lifecycleOf(
    recorded(log, 'a'),
    recorded(log, 'b', { start: () => Promise.reject(new Error('no broker')) }),
    recorded(log, 'c'),
  )
  await expect(lifecycle.start()).rejects.toThrow('no broker')
  expect(log).toEqual(['+a', '+b', '-b', '-a'])
})

test('a component that fails to stop does not keep the others running', async () => {
  const log: string[] = []
  const lifecycle = lifecycleOf(
    recorded(log, 'a'),
    recorded(log, 'b', { stop: () => Promise.reject(new Error('stuck')) }),
  )
  await lifecycle.start()
  await expect(lifecycle.stop()).rejects.toThrow('failed to stop')
  expect(log).toEqual(['+a', '+b', '-b', '-a'])
})

test('a stop that hangs ends with an error at the time-out', async () => {
  const lifecycle = createLifecycle(
    [recorded([], 'a', { stop: () => new Promise(() => undefined) })],
    { logger, shutdownTimeoutMs: 20 },
  )
  await lifecycle.start()
  await expect(lifecycle.stop()).rejects.toThrow('did not stop within 20 ms')
})
