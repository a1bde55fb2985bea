import { expect, test } from 'vitest'
import { Circuit } from './circuit.ts'

const refused = { kind: 'unreachable', reason: 'ECONNREFUSED' } as const
const silence = { kind: 'unknown', reason: 'timeout', gatewayWorks: false } as const
const badRequest = { kind: 'unknown', reason: 'http-422', gatewayWorks: true } as const
const captured = { kind: 'captured', chargeId: 'ch_1' } as const

function newCircuit(): Circuit {
  return new Circuit({ failuresMax: 3, backoff: { baseMs: 100, capMs: 100 } })
}

test('a gateway that cannot be reached is called by nobody, then by one, until it answers', () => {
  const circuit = newCircuit()
  circuit.note(refused, 1000)
  expect(circuit.allowed(64, 1000)).toBe(0)
  expect(circuit.waitMs(1000)).toBe(100)
  expect(circuit.report().status).toBe('degraded')
  expect(circuit.allowed(64, 1100)).toBe(1)
  circuit.note(refused, 1100)
  expect(circuit.allowed(64, 1150)).toBe(0)
  circuit.note(captured, 1200)
  expect(circuit.allowed(64, 1200)).toBe(64)
  expect(circuit.report().status).toBe('ok')
})

test('calls that fail together when it opens count as one failure', () => {
  const circuit = new Circuit({ failuresMax: 3, backoff: { baseMs: 100, capMs: 10_000 } })
  for (let call = 0; call < 50; call += 1) circuit.note(refused, 1000)
  expect(circuit.waitMs(1000)).toBe(100)
})

test('silence opens it only when it is in a row', () => {
  const circuit = newCircuit()
  for (const answer of [silence, silence, captured, silence, silence]) circuit.note(answer, 1000)
  expect(circuit.isOpen).toBe(false)
  circuit.note(silence, 1000)
  expect(circuit.isOpen).toBe(true)
})

test('an answer that is not definite shows that the gateway works', () => {
  const circuit = newCircuit()
  for (let call = 0; call < 10; call += 1) circuit.note(badRequest, 1000)
  expect(circuit.isOpen).toBe(false)
})
