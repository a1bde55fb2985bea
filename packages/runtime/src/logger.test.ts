import { expect, test } from 'vitest'
import { createLogger, hidePasswords } from './logger.ts'

function logged(write: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = ''
  write(createLogger('test', 'info', { destination: { write: (line) => void (text += line) } }))
  return text
}

test('a line is JSON with the level as a word and the time in ISO', () => {
  const line: unknown = JSON.parse(logged((logger) => logger.info({ orderId: 'o-1' }, 'placed')))
  expect(line).toMatchObject({ level: 'info', name: 'test', orderId: 'o-1', msg: 'placed' })
  expect(line).toHaveProperty('time', expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/))
})

test('credentials do not reach the log, neither as fields nor inside the URLs of errors', () => {
  const text = logged((logger) => {
    logger.info({ password: 'hunter2', body: { paymentToken: 'hunter2' } }, 'a')
    logger.info({ request: { headers: { authorization: 'hunter2' } } }, 'b')
    logger.error({ err: new Error('cannot reach postgres://orders:hunter2@db:5432/orders') }, 'c')
  })
  expect(text).not.toContain('hunter2')
  expect(text).toContain('postgres://orders:***@db:5432/orders')
})

test('an error is logged with the chain of its causes', () => {
  const text = logged((logger) => {
    logger.error({ err: new Error('save failed', { cause: new Error('disk full') }) }, 'failed')
  })
  expect(text).toContain('disk full')
})

test('a URL without a password stays as it is', () => {
  const url = 'http://127.0.0.1:7101/orders?at=12:30@home'
  expect(hidePasswords(url)).toBe(url)
})
