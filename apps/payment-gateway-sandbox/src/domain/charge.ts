import { z } from 'zod'

const chargeRequestFields = {
  amountMinor: z.int().nonnegative(),
  currency: z.string().regex(/^[A-Z]{3}$/, 'expected an ISO 4217 code such as EUR'),
  token: z.string().min(1).max(200),
}

/** What a merchant asks for under an idempotency key. */
export const chargeRequest = z.strictObject(chargeRequestFields)
export type ChargeRequest = z.infer<typeof chargeRequest>

const recorded = { key: z.string(), at: z.string() }
const charged = { ...recorded, ...chargeRequestFields, chargeId: z.string() }

/** What became of a key. A line of the ledger file is one of these: the last line of a key holds. */
export const charge = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('captured'),
    ...charged,
    /** The bank refuses to give the money back until an operator repairs it. */
    refundBlocked: z.boolean(),
  }),
  z.strictObject({ status: z.literal('refunded'), ...charged }),
  z.strictObject({
    status: z.literal('declined'),
    ...recorded,
    ...chargeRequestFields,
    code: z.string(),
  }),
  /** Voided before it was charged: this key can never charge. */
  z.strictObject({ status: z.literal('voided'), ...recorded }),
])
export type Charge = z.infer<typeof charge>
export type CapturedCharge = Extract<Charge, { status: 'captured' | 'refunded' }>

/** What a decision wants written, if anything, and what it answers. */
export type Decision<Answer> = { write?: Charge; answer: Answer }

export type ChargeAnswer =
  | { kind: 'captured'; charge: CapturedCharge }
  | { kind: 'declined'; code: string }
  /** The key was used before for another request. */
  | { kind: 'key-reused' }

export type VoidAnswer =
  | { kind: 'voided' }
  | { kind: 'refunded'; refundedMinor: number }
  | { kind: 'refund-refused' }

/** The code of a charge whose key was voided before: a definite decline like any other. */
export const voidedCode = 'voided'

/** A charge: a key that is new is decided by its token, one that is known gets its answer again. */
export function decideCharge(
  known: Charge | undefined,
  request: ChargeRequest,
  made: { key: string; chargeId: string; at: string },
): Decision<ChargeAnswer> {
  if (known) return { answer: repeatedAnswer(known, request) }
  const { key, chargeId, at } = made
  const code = declineCode(request.token)
  if (code !== undefined) {
    return {
      write: { status: 'declined', key, at, ...request, code },
      answer: { kind: 'declined', code },
    }
  }
  const refundBlocked = request.token === 'tok_refund_fails'
  const captured = {
    status: 'captured',
    key,
    at,
    ...request,
    chargeId,
    refundBlocked,
  } satisfies Charge
  return { write: captured, answer: { kind: 'captured', charge: captured } }
}

/** A void: gives back what was charged, or makes sure that this key never charges. */
export function decideVoid(
  known: Charge | undefined,
  made: { key: string; at: string },
): Decision<VoidAnswer> {
  if (!known) return { write: { status: 'voided', ...made }, answer: { kind: 'voided' } }
  switch (known.status) {
    case 'captured': {
      if (known.refundBlocked) return { answer: { kind: 'refund-refused' } }
      const { refundBlocked: _, ...rest } = known
      return {
        write: { ...rest, status: 'refunded' },
        answer: { kind: 'refunded', refundedMinor: known.amountMinor },
      }
    }
    case 'refunded':
      return { answer: { kind: 'refunded', refundedMinor: known.amountMinor } }
    case 'declined':
    case 'voided':
      return { answer: { kind: 'voided' } }
  }
}

/** What an operator does about a refund that the bank refuses. */
export function decideRepair(known: Charge): Decision<Charge> {
  if (known.status !== 'captured' || !known.refundBlocked) return { answer: known }
  const repaired = { ...known, refundBlocked: false }
  return { write: repaired, answer: repaired }
}

function repeatedAnswer(known: Charge, request: ChargeRequest): ChargeAnswer {
  if (known.status === 'voided') return { kind: 'declined', code: voidedCode }
  const same =
    known.amountMinor === request.amountMinor &&
    known.currency === request.currency &&
    known.token === request.token
  if (!same) return { kind: 'key-reused' }
  if (known.status === 'declined') return { kind: 'declined', code: known.code }
  return { kind: 'captured', charge: known }
}

// As a card provider would, it refuses what it cannot charge for good: asking again would not help.
function declineCode(token: string): string | undefined {
  switch (token) {
    case 'tok_ok':
    case 'tok_slow':
    case 'tok_timeout_after_charge':
    case 'tok_5xx_twice':
    case 'tok_refund_fails':
      return undefined
    case 'tok_declined':
      return 'card_declined'
    default:
      return 'invalid_token'
  }
}
