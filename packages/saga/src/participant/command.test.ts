import {
  compose,
  type Envelope,
  fromHeaders,
  newMessageId,
  paymentCaptureRepliedV1,
  readBody,
} from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { expect, test } from 'vitest'
import { commandFor, commandOf, replyTo } from './command.ts'

const sagaId = newMessageId()
const key = { sagaId, step: 'charge', direction: 'do' } as const
const envelope: Envelope = {
  id: newMessageId(),
  source: 'test',
  type: 'payment.capture.v1',
  subject: sagaId,
  time: new Date().toISOString(),
  datacontenttype: 'application/json',
  correlationid: sagaId,
  coordination: 'orchestrated',
  ...commandFor(key, 2),
}

test('the headers of a command say which attempt it is', () => {
  expect(commandOf(envelope, key)).toEqual({
    sagaid: sagaId,
    step: 'charge',
    direction: 'do',
    attempt: 2,
  })
})

test.each([
  ['of another saga', { sagaid: newMessageId() }],
  ['of another step', { step: 'reserve' }],
  ['of the other direction', { direction: 'undo' }],
  ['without an attempt', { attempt: undefined }],
] as const)('a command with headers %s can never be handled', (_, change) => {
  let failure: unknown
  try {
    commandOf({ ...envelope, ...change }, key)
  } catch (error) {
    failure = error
  }
  expect(failure).toBeInstanceOf(AppError)
  expect(failure).toMatchObject({ code: 'not-the-command', retry: 'permanent' })
})

test('a reply says in body and headers what it answers, and no two have one id', () => {
  const answer = { outcome: 'refused', reason: 'card_declined' } as const
  const reply = replyTo(commandOf(envelope, key), paymentCaptureRepliedV1, answer)
  const origin = { source: 'test', namespace: 'ns', now: new Date() }
  const sent = [1, 2].map(() => compose(reply, { ...origin, coordination: 'orchestrated' }))
  expect(sent[0]).toMatchObject({ destination: 'ns.replies/ns.order.saga-replies', key: sagaId })
  expect(fromHeaders('rabbitmq', sent[0]?.headers ?? {})).toMatchObject({
    ok: true,
    envelope: { sagaid: sagaId, step: 'charge', direction: 'do', attempt: 2 },
  })
  const body: unknown = JSON.parse(sent[0]?.payload ?? '')
  expect(readBody(paymentCaptureRepliedV1, 'payment.capture.replied.v1', body)).toEqual({
    ok: true,
    body: { sagaId, step: 'charge', direction: 'do', attempt: 2, ...answer },
  })
  expect(sent[0]?.id).not.toBe(sent[1]?.id)
})
