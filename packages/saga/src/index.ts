export {
  type Advance,
  advance,
  type DecidedInput,
  type LocalOutcome,
  type Turn,
} from './advance.ts'
export { defineSaga } from './define-saga.ts'
export {
  type Action,
  type CompensatablePolicy,
  type CompensatableStep,
  type Definition,
  defaultPolicy,
  type Direction,
  type LocalAction,
  type PivotStep,
  type RemoteAction,
  type ResendPolicy,
  type RetriablePolicy,
  type RetriableStep,
  type Step,
} from './definition.ts'
export { diagram } from './diagram.ts'
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
} from './ledger.ts'
export { decide } from './machine.ts'
export { type RemainingStep, remainingSteps } from './remaining-steps.ts'
export type {
  ActiveState,
  Cause,
  CommandEffect,
  Compensated,
  Compensating,
  Completed,
  Decision,
  Effect,
  Fencing,
  IgnoredNote,
  LocalEffect,
  NeedsHuman,
  Note,
  Reply,
  ReplyOutcome,
  Running,
  SagaInput,
  SagaState,
  SagaStatus,
  Trouble,
} from './state.ts'
