import { expect, test } from 'vitest'
import { Circuit } from './circuit.ts'

const refused = { kind: 'unreachable', reason: 'ECONNREFUSED' } as const
const silence = { kind: 'unknown', reason: 'timeout' } as const
const serverError = { kind: 'unknown', reason: 'http-503' } as const
const captured = { kind: 'captured', chargeId: 'ch_1' } as const

function newCircuit(): Circuit {
  return new Circuit({ baseMs: 100, capMs: 100 })
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
  const circuit = new Circuit({ baseMs: 100, capMs: 10_000 })
  for (let call = 0; call < 50; call += 1) circuit.note(refused, 1000)
  expect(circuit.waitMs(1000)).toBe(100)
})

test('charges that fail, however many in a row, do not hold back others', () => {
  const circuit = newCircuit()
  for (let call = 0; call < 50; call += 1) circuit.note(silence, 1000)
  for (let call = 0; call < 50; call += 1) circuit.note(serverError, 1000)
  expect(circuit.allowed(64, 1000)).toBe(64)
})

test('a call that gets through closes it, whatever it is answered', () => {
  const circuit = newCircuit()
  circuit.note(refused, 1000)
  circuit.note(serverError, 1100)
  expect(circuit.allowed(64, 1100)).toBe(64)
})
