export { type Answer, commandFor, commandOf, replyTo } from './command.ts'
export {
  type DoVerdict,
  type FenceVerdict,
  judgeDo,
  judgeFence,
  judgeUndo,
  type LedgerRow,
  settle,
  type StepKey,
  type StepOutcome,
  type UndoVerdict,
} from '../ledger.ts'
export { formatStep, parseStep, type StepCommand } from './step-names.ts'
export { claimSteps, lockSteps, saveSteps } from './store.ts'
export { stepLedger } from './tables.ts'
