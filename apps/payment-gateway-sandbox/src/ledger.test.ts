import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Charge } from './domain/charge.ts'
import { openLedger } from './ledger.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-'))
  path = join(folder, 'books', 'ledger.jsonl')
})
afterEach(() => rmSync(folder, { recursive: true }))

function captured(key: string, amountMinor = 500): Charge {
  const request = { amountMinor, currency: 'EUR', token: 'tok_ok' }
  return {
    status: 'captured',
    key,
    at: 'now',
    ...request,
    chargeId: `ch_${key}`,
    refundBlocked: false,
  }
}

function refunded(key: string, amountMinor = 500): Charge {
  const request = { amountMinor, currency: 'EUR', token: 'tok_ok' }
  return { status: 'refunded', key, at: 'now', ...request, chargeId: `ch_${key}` }
}

test('a charge is in the file when its write resolves, and not known before', async () => {
  const ledger = openLedger(path)
  const writes = [ledger.write(captured('a')), ledger.write(captured('b'))]
  expect(ledger.get('a')).toBeUndefined()
  await Promise.all(writes)
  expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3)
  expect(ledger.get('a')).toEqual(captured('a'))
  ledger.close()
})

test('what was written is there after a reopening, in its last state, with the same totals', async () => {
  const before = openLedger(path)
  await before.write(captured('a', 300))
  await before.write(captured('b', 700))
  await before.write(refunded('a', 300))
  before.close()
  const after = openLedger(path)
  expect(after.page(0, 10)).toEqual([refunded('a', 300), captured('b', 700)])
  expect(after.totals()).toEqual({ EUR: { capturedMinor: 1000, refundedMinor: 300 } })
  expect(after.totals()).toEqual(before.totals())
  after.close()
})

test('a torn last line is cut off and the next line starts where it began', async () => {
  const before = openLedger(path)
  await before.write(captured('a'))
  before.close()
  appendFileSync(path, '{"status":"captured","key":"b","amou')
  const torn = openLedger(path)
  expect(torn.size).toBe(1)
  await torn.write(captured('c'))
  torn.close()
  const after = openLedger(path)
  expect(after.page(0, 10).map((charge) => charge.key)).toEqual(['a', 'c'])
  after.close()
})

test('a broken line in the middle is damage: the ledger does not open and says where', async () => {
  const before = openLedger(path)
  await before.write(captured('a'))
  before.close()
  appendFileSync(path, '{"status":"lost"}\n')
  expect(() => openLedger(path)).toThrow(`${path}:2 is not a line of a ledger`)
})
