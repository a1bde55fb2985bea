import { readFileSync } from 'node:fs'
import { advance, diagram, type LocalOutcome, type SagaInput, type SagaState } from '@edp/saga'
import { describe, expect, test } from 'vitest'
import { type Fulfilment, orderFulfilment } from './fulfilment.ts'

const context: Fulfilment = {
  orderId: '019ca8f0-0000-7000-8000-000000000001',
  lines: [{ sku: 'moka-pot', quantity: 2 }],
  payment: { amountMinor: 7800, currency: 'EUR', paymentRef: 'tok_ok' },
}
const { orderId, lines, payment } = context

const start: SagaInput<Fulfilment> = { kind: 'start', context }

function answer(
  step: string,
  direction: 'do' | 'undo',
  outcome: 'ok' | 'refused',
): SagaInput<Fulfilment> {
  return { kind: 'reply', step, direction, outcome }
}

/** What inputs lead to; `confirm` is what the order row answers. */
function run(inputs: readonly SagaInput<Fulfilment>[], confirm: LocalOutcome = { outcome: 'ok' }) {
  let state: SagaState<Fulfilment> | undefined
  const commands: unknown[] = []
  const others: unknown[] = []
  for (const input of inputs) {
    const step = advance(orderFulfilment, { state, input, now: 0, local: () => confirm })
    state = step.state
    for (const effect of step.effects) {
      if (effect.kind === 'command') commands.push({ [effect.command]: effect.payload })
      else others.push(effect)
    }
  }
  return { state, commands, others }
}

const reserved = [start, answer('reserve', 'do', 'ok')]
const charged = [...reserved, answer('charge', 'do', 'ok')]

const reserve = { 'stock.reserve.v1': { orderId, lines, payment } }
const capture = { 'payment.capture.v1': { orderId, payment } }
const refund = { 'payment.refund.v1': { orderId, currency: 'EUR' } }
const release = { 'stock.release.v1': { orderId } }

describe('the saga of an order', () => {
  test('reserves, charges, and confirms in the transaction of the last answer', () => {
    const { state, commands, others } = run(charged)
    expect(commands).toEqual([reserve, capture])
    expect(others).toEqual([{ kind: 'ended', status: 'completed', cause: null }])
    expect(state?.status).toBe('completed')
  })

  test('ends without a refund when there is no stock', () => {
    const { state, commands } = run([start, answer('reserve', 'do', 'refused')])
    expect(commands).toEqual([reserve])
    expect(state?.status).toBe('compensated')
  })

  test('releases the stock when the card is declined', () => {
    const inputs = [...reserved, answer('charge', 'do', 'refused'), answer('reserve', 'undo', 'ok')]
    const { state, commands } = run(inputs)
    expect(commands).toEqual([reserve, capture, release])
    expect(state?.status).toBe('compensated')
  })

  test('refunds, then releases, when it is cancelled while the card is charged', () => {
    const cancel: SagaInput<Fulfilment> = { kind: 'cancel', reason: 'customer-request' }
    const undone = [answer('charge', 'undo', 'ok'), answer('reserve', 'undo', 'ok')]
    const { state, commands } = run([...reserved, cancel, ...undone])
    expect(commands).toEqual([reserve, capture, refund, release])
    expect(state?.status).toBe('compensated')
  })

  test('undoes everything when the order row refuses: it was changed meanwhile', () => {
    const { state, commands, others } = run(charged, { outcome: 'refused', reason: 'late' })
    expect(commands).toEqual([reserve, capture, refund])
    expect(others).toEqual([
      { kind: 'turned', cause: { kind: 'refused', step: 'confirm', reason: 'late' } },
    ])
    expect(state?.status).toBe('compensating')
  })

  test('is given up after five minutes', () => {
    expect(run([start]).state).toMatchObject({ deadlineAt: 300_000 })
  })

  test('is drawn in ARCHITECTURE.md as it is', () => {
    const document = readFileSync(new URL('../../../../ARCHITECTURE.md', import.meta.url), 'utf8')
    expect(document).toContain(`\`\`\`mermaid\n${diagram(orderFulfilment).trim()}\n\`\`\``)
  })
})
