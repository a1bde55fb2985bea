import { randomUUID } from 'node:crypto'
import { counter, gauge } from '@edp/runtime'
import {
  type Charge,
  type ChargeAnswer,
  type ChargeRequest,
  decideCharge,
  decideRepair,
  decideVoid,
  type VoidAnswer,
} from './domain/charge.ts'
import { type Faults, pauseUnlessStopping } from './faults.ts'
import type { KeyLocks } from './key-locks.ts'
import type { Ledger } from './ledger.ts'

/** What a charge came to. `broken` is a 5xx, the nth: nothing happened, but the merchant cannot know. */
export type Charged = ChargeAnswer | { kind: 'broken'; nth: number }

/** The provider: everything about one key happens one after the other, and is in the ledger before it is answered. */
export type Gateway = {
  /** `fresh` says that this very call charged; a repeated key is not fresh. */
  charge(key: string, request: ChargeRequest): Promise<{ answer: Charged; fresh: boolean }>
  void(key: string): Promise<VoidAnswer>
  /** Undefined for a key that nobody has used. */
  repair(key: string): Promise<Charge | undefined>
}

const operations = counter('edp_gateway_operations_total', 'Operations by what they came to', [
  'operation',
  'result',
])

// An order is given up only while it is being charged, so a refund that fails needs a charge that takes its time.
const slowTokens: ReadonlySet<string> = new Set(['tok_slow', 'tok_refund_fails'])

const chargesRunning = gauge(
  'edp_gateway_charges_running',
  'Charges that were begun and are not in the ledger',
)

/** Makes the provider over a ledger. */
export function createGateway(options: {
  ledger: Ledger
  locks: KeyLocks
  faults: Faults
}): Gateway {
  const { ledger, locks, faults } = options
  const brokenAnswers = new Map<string, number>()

  async function charge(key: string, request: ChargeRequest) {
    const known = ledger.get(key)
    if (!known && request.token === 'tok_5xx_twice') {
      const nth = (brokenAnswers.get(key) ?? 0) + 1
      brokenAnswers.set(key, nth)
      if (nth <= 2) return { answer: { kind: 'broken', nth } as const, fresh: false }
      brokenAnswers.delete(key)
    }
    // The key stays locked meanwhile: a void waits for this charge and then gives it back.
    if (!known && slowTokens.has(request.token)) await pauseUnlessStopping(faults, faults.slowMs)
    const made = { key, chargeId: `ch_${randomUUID()}`, at: new Date().toISOString() }
    const { write, answer } = decideCharge(known, request, made)
    if (write) await ledger.write(write)
    return { answer, fresh: write !== undefined }
  }

  return {
    async charge(key, request) {
      chargesRunning.inc()
      const charged = await locks(key, () => charge(key, request)).finally(() =>
        chargesRunning.dec(),
      )
      const result = charged.fresh ? charged.answer.kind : `${charged.answer.kind}-again`
      operations.inc({ operation: 'charge', result })
      return charged
    },
    async void(key) {
      const answer = await locks(key, async () => {
        const decision = decideVoid(ledger.get(key), { key, at: new Date().toISOString() })
        if (decision.write) await ledger.write(decision.write)
        return decision.answer
      })
      operations.inc({ operation: 'void', result: answer.kind })
      return answer
    },
    repair: (key) =>
      locks(key, async () => {
        const known = ledger.get(key)
        if (!known) return undefined
        const { write, answer } = decideRepair(known)
        if (write) await ledger.write(write)
        return answer
      }),
  }
}
