import { expect, test } from 'vitest'
import { outcomeOf } from './mail-sender.ts'

const error = (fields: Record<string, unknown>): Error =>
  Object.assign(new Error('says so'), fields)

test.each([
  ['an unknown recipient', { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 550 }, 'refused'],
  [
    'a text that is not wanted',
    { code: 'EMESSAGE', command: 'DATA', responseCode: 554 },
    'refused',
  ],
  ['an e-mail that is too large', { command: 'MAIL FROM', responseCode: 552 }, 'refused'],
  ['an address that is none', { code: 'EENVELOPE', command: 'API' }, 'refused'],
  ['a full mailbox', { code: 'EENVELOPE', command: 'RCPT TO', responseCode: 452 }, 'failed'],
  ['a silence', { code: 'ETIMEDOUT', command: 'CONN', timeoutType: 'SOCKET_TIMEOUT' }, 'failed'],
  ['a connection that breaks', { code: 'ESOCKET', command: 'CONN', syscall: 'read' }, 'failed'],
  ['anything unforeseen', {}, 'failed'],
  ['nobody there', { code: 'ESOCKET', command: 'CONN', syscall: 'connect' }, 'away'],
  ['a server that goes', { command: 'DATA', responseCode: 421 }, 'away'],
  ['no greeting', { code: 'ETIMEDOUT', command: 'CONN', timeoutType: 'GREETING_TIMEOUT' }, 'away'],
  ['a wrong password', { code: 'EAUTH', command: 'AUTH PLAIN', responseCode: 535 }, 'away'],
  ['a sender that is refused', { command: 'MAIL FROM', responseCode: 550 }, 'away'],
])('%s', (_what, fields, kind) => {
  expect(outcomeOf(error(fields)).kind).toBe(kind)
})
