import { newId, orderCancelledV1, stockReleaseRepliedV1 } from '@edp/event-schemas'
import { expect, test } from 'vitest'
import { checkPayload } from './check-payload.ts'

const orderId = newId()
const body = { orderId, customerId: 'c-1', reason: 'customer-request' }
const row = { type: orderCancelledV1.type, key: orderId, payload: JSON.stringify(body) }

test('a payload that fits its contract is taken, without fields that the contract does not know', () => {
  const checked = checkPayload(row, { ...body, customerId: 'c-2', colour: 'red' })
  expect(checked).toEqual({
    ok: true,
    text: JSON.stringify({ ...body, customerId: 'c-2' }),
    changed: ['customerId'],
  })
})

test('every problem is named, with its place', () => {
  const checked = checkPayload(row, { orderId: newId(), reason: 'boredom' })
  expect(checked.ok ? [] : checked.problems.map(({ path }) => path)).toEqual([
    'body.payload.orderId',
    'body.payload.customerId',
    'body.payload.reason',
  ])
})

test('whatever says the key has to go on saying it', () => {
  const reply = { sagaId: orderId, step: 'reserve', direction: 'undo', attempt: 1, outcome: 'ok' }
  const replied = {
    type: stockReleaseRepliedV1.type,
    key: orderId,
    payload: JSON.stringify(reply),
  }
  expect(checkPayload(replied, { ...reply, attempt: 2 })).toMatchObject({ ok: true })
  expect(checkPayload(replied, { ...reply, sagaId: newId() })).toMatchObject({
    ok: false,
    problems: [{ path: 'body.payload.sagaId', message: `has to stay ${orderId}` }],
  })
})

test('what has no contract here cannot be changed', () => {
  expect(checkPayload({ ...row, type: 'order.unheard-of.v1' }, body)).toMatchObject({ ok: false })
})
