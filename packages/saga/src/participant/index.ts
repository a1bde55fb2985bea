export { type Answer, commandFor, commandOf, replyTo } from './command.ts'
export {
  type DoVerdict,
  formatStep,
  judgeDo,
  judgeUndo,
  type LedgerRow,
  parseStep,
  settle,
  type StepKey,
  type StepOutcome,
  type UndoVerdict,
} from './ledger.ts'
export { claimSteps, lockSteps, saveSteps } from './store.ts'
export { stepLedger } from './tables.ts'
