import { type Contract, contracts } from '@edp/event-schemas'
import type { LockedDeadRow } from '@edp/outbox/drain'

/** What is wrong with a payload: where and what. */
export interface PayloadProblem {
  readonly path: string
  readonly message: string
}

/** What came of checking a payload: the JSON text to publish, and the fields that differ; or every problem with it. */
export type CheckedPayload =
  | { readonly ok: true; readonly text: string; readonly changed: readonly string[] }
  | { readonly ok: false; readonly problems: readonly PayloadProblem[] }

type Fields = Readonly<Record<string, unknown>>

/**
 * Checks a repaired payload against the contract of the row's type, in that very version. What says the key in the old one has to
 * say it in the new one too: the row would be published under one order and tell of another.
 */
export function checkPayload(
  row: Pick<LockedDeadRow, 'type' | 'key' | 'payload'>,
  payload: Fields,
): CheckedPayload {
  const contract = contracts.map((newest) => inVersion(newest, row.type)).find(Boolean)
  if (contract === undefined) {
    const message = `no contract of ${row.type} is known here, so its payload cannot be changed`
    return { ok: false, problems: [{ path: 'body.payload', message }] }
  }
  const old = fieldsOf(JSON.parse(row.payload))
  const problems = Object.keys(old)
    .filter((name) => old[name] === row.key && payload[name] !== row.key)
    .map((name) => ({ path: `body.payload.${name}`, message: `has to stay ${row.key}` }))
  const reading = contract.body.safeParse(payload)
  if (!reading.success) {
    for (const { path, message } of reading.error.issues) {
      problems.push({ path: ['body.payload', ...path].join('.'), message })
    }
  }
  if (problems.length > 0 || !reading.success) return { ok: false, problems }
  const text = JSON.stringify(reading.data)
  return { ok: true, text, changed: differing(old, fieldsOf(reading.data)) }
}

function inVersion(contract: Contract, type: string): Contract | undefined {
  if (contract.type === type) return contract
  return contract.previous ? inVersion(contract.previous.contract, type) : undefined
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function differing(old: Fields, repaired: Fields): string[] {
  const names = new Set([...Object.keys(old), ...Object.keys(repaired)])
  return [...names].filter((name) => JSON.stringify(old[name]) !== JSON.stringify(repaired[name]))
}
