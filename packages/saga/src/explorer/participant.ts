import type {
  DoVerdict,
  FenceVerdict,
  LedgerRow,
  StepKey,
  StepOutcome,
  UndoVerdict,
} from '../ledger.ts'
import { judgeDo, judgeFence, judgeUndo, settle } from '../ledger.ts'
import type { ReplyOutcome } from '../state.ts'
import { unreachable } from '../unreachable.ts'

/** What the payment provider knows of one key. */
export type Gateway = 'unknown' | 'charged' | 'declined' | 'voided' | 'refunded'

/** One step where it is done: its rows in the ledger, its effects, and what is under way. */
export interface Participant {
  /** By the key of a row, `do` and `undo` when the rules are right. */
  readonly rows: Readonly<Record<string, StepOutcome>>
  /** How often its effect took place, and how often it was taken back. */
  readonly done: number
  readonly undone: number
  /** Transactions that have read the ledger to undo, and have not committed. */
  readonly open: number
  /** A request of the gateway is on the wire. */
  readonly wire: boolean
  readonly gateway: Gateway
  /** The undo at the gateway: the payment is marked, then the gateway has answered. */
  readonly voiding: 'no' | 'asked' | 'answered'
}

export const untouched: Participant = {
  rows: {},
  done: 0,
  undone: 0,
  open: 0,
  wire: false,
  gateway: 'unknown',
  voiding: 'no',
}

/** How a participant works. */
export interface ParticipantRules {
  readonly judgeDo: (row: LedgerRow) => DoVerdict
  readonly judgeUndo: (doRow: LedgerRow, undoRow: LedgerRow | undefined) => UndoVerdict
  readonly judgeFence: (row: LedgerRow) => FenceVerdict
  /** The key of a row, by the attempt of the command too, should a rule want it. */
  readonly rowKey: (direction: StepKey['direction'], attempt: number) => string
  /** What an undo or a fence leaves in the place of a do that never ran. */
  readonly tombstone: (key: StepKey) => LedgerRow | undefined
  /** Whether a command that came before is answered again. */
  readonly answersAgain: boolean
  /** Whether an undo holds the row of its do until it commits, so that two of them follow each other. */
  readonly undoLocksRow: boolean
  /** What voiding a key makes of what the gateway knows of it. */
  readonly voidKey: (gateway: Gateway) => Gateway
}

export const realParticipantRules: ParticipantRules = {
  judgeDo,
  judgeUndo,
  judgeFence,
  rowKey: (direction) => direction,
  tombstone: (key) => settle(key, 'tombstone'),
  answersAgain: true,
  undoLocksRow: true,
  // Serialised with the charge by the gateway itself: a key that is not charged yet never will be.
  voidKey: (gateway) => {
    switch (gateway) {
      case 'unknown':
        return 'voided'
      case 'charged':
        return 'refunded'
      case 'declined':
      case 'voided':
      case 'refunded':
        return gateway
      default:
        return unreachable(gateway)
    }
  },
}

/** What a step is like to its participant. */
export interface StepTraits {
  readonly step: string
  /** Whether it can be refused for good. What cannot be refused may fail and is tried again. */
  readonly refusable: boolean
  /** Whether its effect takes place at a gateway outside, between two transactions. */
  readonly atGateway: boolean
}

/** One way in which a participant may go on, and what it answers. */
export interface Reaction {
  readonly label: string
  readonly participant: Participant
  readonly reply?: { readonly direction: 'do' | 'undo' | 'fence'; readonly outcome: ReplyOutcome }
}

/** Everything that may come of a command. */
export function receive(
  participant: Participant,
  command: { readonly direction: 'do' | 'undo' | 'fence'; readonly attempt: number },
  traits: StepTraits,
  rules: ParticipantRules,
): Reaction[] {
  const { direction, attempt } = command
  switch (direction) {
    case 'do':
      return receiveDo(participant, attempt, traits, rules)
    case 'undo':
      return receiveUndo(participant, attempt, traits, rules)
    case 'fence':
      return receiveFence(participant, attempt, traits, rules)
    default:
      return unreachable(direction)
  }
}

function receiveDo(
  participant: Participant,
  attempt: number,
  traits: StepTraits,
  rules: ParticipantRules,
): Reaction[] {
  const key = rules.rowKey('do', attempt)
  const verdict = rules.judgeDo(rowOf(participant, key, 'do', traits) ?? freshRow(traits))
  switch (verdict.kind) {
    case 'act': {
      if (traits.atGateway) {
        return [
          { label: 'begun', participant: { ...write(participant, key, 'started'), wire: true } },
        ]
      }
      const ok = { ...write(participant, key, 'ok'), done: participant.done + 1 }
      const done: Reaction = {
        label: 'ok',
        participant: ok,
        reply: { direction: 'do', outcome: 'ok' },
      }
      return [done, notDone(participant, key, traits)]
    }
    case 'answer':
      return [again(participant, 'do', verdict.outcome, rules)]
    case 'pending':
      return [{ label: 'under way', participant }]
    default:
      return unreachable(verdict)
  }
}

function notDone(participant: Participant, key: string, { refusable }: StepTraits): Reaction {
  if (refusable) {
    return {
      label: 'refused',
      participant: write(participant, key, 'refused'),
      reply: { direction: 'do', outcome: 'refused' },
    }
  }
  // What must not be refused is not stored as refused: repairing its cause has to help.
  return { label: 'failed', participant, reply: { direction: 'do', outcome: 'failed' } }
}

function receiveUndo(
  participant: Participant,
  attempt: number,
  traits: StepTraits,
  rules: ParticipantRules,
): Reaction[] {
  if (participant.open > 0 && rules.undoLocksRow) return []
  const doKey = rules.rowKey('do', attempt)
  const undoKey = rules.rowKey('undo', attempt)
  const doRow = rowOf(participant, doKey, 'do', traits) ?? freshRow(traits)
  const verdict = rules.judgeUndo(doRow, rowOf(participant, undoKey, 'undo', traits))
  switch (verdict.kind) {
    case 'act':
      if (!traits.atGateway) {
        return [{ label: 'begun', participant: { ...participant, open: participant.open + 1 } }]
      }
      if (participant.voiding !== 'no') return [{ label: 'under way', participant }]
      return [{ label: 'begun', participant: { ...participant, voiding: 'asked' } }]
    case 'nothing':
      return [
        {
          label: 'nothing to undo',
          participant: write(bury(participant, doKey, traits, rules), undoKey, 'ok'),
          reply: { direction: 'undo', outcome: 'ok' },
        },
      ]
    case 'answer':
      return [again(participant, 'undo', 'ok', rules)]
    default:
      return unreachable(verdict)
  }
}

function receiveFence(
  participant: Participant,
  attempt: number,
  traits: StepTraits,
  rules: ParticipantRules,
): Reaction[] {
  const key = rules.rowKey('do', attempt)
  const verdict = rules.judgeFence(rowOf(participant, key, 'do', traits) ?? freshRow(traits))
  switch (verdict.kind) {
    case 'fence':
      return [
        {
          label: 'fenced',
          participant: bury(participant, key, traits, rules),
          reply: { direction: 'fence', outcome: 'fenced' },
        },
      ]
    case 'answer':
      return [again(participant, 'fence', verdict.outcome, rules)]
    case 'pending':
      return [{ label: 'under way', participant }]
    default:
      return unreachable(verdict)
  }
}

/** What a participant does by itself: commits an undo, calls the gateway, writes down what it said. */
export function goOn(
  participant: Participant,
  { step, atGateway }: StepTraits,
  rules: ParticipantRules,
): Reaction[] {
  if (atGateway)
    return [...requests(participant, step, rules), ...records(participant, step, rules)]
  if (participant.open === 0) return []
  const closed = { ...participant, open: participant.open - 1 }
  const undone = { ...closed, undone: participant.undone + 1 }
  return [
    {
      label: `${step} commits its undo`,
      participant: write(undone, rules.rowKey('undo', 1), 'ok'),
      reply: { direction: 'undo', outcome: 'ok' },
    },
    {
      // Not stored, so that the next one tries again.
      label: `${step} fails to undo`,
      participant: closed,
      reply: { direction: 'undo', outcome: 'failed' },
    },
  ]
}

function requests(participant: Participant, step: string, rules: ParticipantRules): Reaction[] {
  const found: Reaction[] = []
  if (participant.wire) {
    const arrived = { ...participant, wire: false }
    if (participant.gateway === 'unknown') {
      const charged = { ...arrived, gateway: 'charged', done: participant.done + 1 } as const
      found.push({ label: `the gateway does ${step}`, participant: charged })
      const declined = { ...arrived, gateway: 'declined' } as const
      found.push({ label: `the gateway declines ${step}`, participant: declined })
    } else {
      found.push({ label: `the gateway repeats its answer to ${step}`, participant: arrived })
    }
  }
  if (participant.voiding === 'asked') {
    const gateway = rules.voidKey(participant.gateway)
    const undone = participant.undone + (gateway === 'refunded' ? 1 : 0)
    found.push({
      label: `the gateway voids ${step}`,
      participant: { ...participant, gateway, undone, voiding: 'answered' },
    })
    if (participant.gateway === 'charged') {
      found.push({
        label: `the gateway refuses to undo ${step}`,
        participant,
        reply: { direction: 'undo', outcome: 'failed' },
      })
    }
  }
  return found
}

function records(participant: Participant, step: string, rules: ParticipantRules): Reaction[] {
  const doKey = rules.rowKey('do', 1)
  const started = participant.rows[doKey] === 'started'
  if (participant.voiding === 'answered') {
    const undo = write({ ...participant, voiding: 'no' }, rules.rowKey('undo', 1), 'ok')
    return [
      {
        label: `${step} records its undo`,
        participant: started ? write(undo, doKey, 'refused') : undo,
        reply: { direction: 'undo', outcome: 'ok' },
      },
    ]
  }
  // Once the undo has begun, what the charge answers counts no more.
  if (participant.voiding !== 'no' || !started) return []
  if (participant.gateway === 'unknown' || participant.wire) return []
  const outcome = participant.gateway === 'declined' ? 'refused' : 'ok'
  return [
    {
      label: `${step} records ${outcome}`,
      participant: write(participant, doKey, outcome),
      reply: { direction: 'do', outcome },
    },
  ]
}

function again(
  participant: Participant,
  direction: 'do' | 'undo' | 'fence',
  outcome: ReplyOutcome,
  { answersAgain }: ParticipantRules,
): Reaction {
  if (!answersAgain) return { label: 'silence', participant }
  return { label: `${outcome} again`, participant, reply: { direction, outcome } }
}

// A do that was refused keeps its own answer.
function bury(
  participant: Participant,
  key: string,
  traits: StepTraits,
  rules: ParticipantRules,
): Participant {
  if (participant.rows[key] !== undefined) return participant
  const row = rules.tombstone(keyOf(traits, 'do'))
  return row ? write(participant, key, row.outcome) : participant
}

function write(participant: Participant, key: string, outcome: StepOutcome): Participant {
  return { ...participant, rows: { ...participant.rows, [key]: outcome } }
}

function rowOf(
  { rows }: Participant,
  key: string,
  direction: StepKey['direction'],
  traits: StepTraits,
): LedgerRow | undefined {
  const outcome = rows[key]
  return outcome === undefined ? undefined : settle(keyOf(traits, direction), outcome)
}

function freshRow(traits: StepTraits): LedgerRow {
  return { ...keyOf(traits, 'do'), fresh: true, outcome: 'started', reply: null }
}

function keyOf({ step }: StepTraits, direction: StepKey['direction']): StepKey {
  return { sagaId: 'saga', step, direction }
}

export function encodeParticipant({
  rows,
  done,
  undone,
  open,
  wire,
  gateway,
  voiding,
}: Participant): string {
  const keys = Object.keys(rows).toSorted()
  const ledger = keys.map((key) => `${key}=${rows[key]}`).join(',')
  return `${ledger};${done}${undone}${open}${wire ? 1 : 0}${gateway}${voiding}`
}
