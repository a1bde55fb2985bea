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
  type Undoable,
} from './definition.ts'
export { localPivotExample, remotePivotExample } from './explorer/examples.ts'
export { type ExploreOptions, exploreSaga } from './explorer/explore-saga.ts'
export {
  type BagFaults,
  type Delivery,
  deliveries,
  emptyNetwork,
  encodeNetwork,
  lossyBag,
  type Network,
  type NetworkKind,
  type NetworkRules,
  parkingBag,
  realNetworkRules,
  send,
} from './explorer/network.ts'
export {
  encodeParticipant,
  type Gateway,
  goOn,
  type Participant,
  type ParticipantRules,
  type Reaction,
  realParticipantRules,
  receive,
  type StepTraits,
  untouched,
} from './explorer/participant.ts'
export { exploreBug, type PlantedBug, plantedBugs } from './explorer/planted-bugs.ts'
export {
  brokenProperty,
  describeEnding,
  type Effects,
  safety,
  type StepEffects,
} from './explorer/properties.ts'
export { realRules, type SagaRules } from './explorer/rules.ts'
export {
  type Exploration,
  liveness,
  type Model,
  type Move,
  search,
  type Violation,
} from './explorer/search.ts'
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
