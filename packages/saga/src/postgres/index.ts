export { type AdvancedSaga, advanceSaga, type SagaTurn, startSaga } from './advance-saga.ts'
export { type HistoryEntry, readSaga } from './history.ts'
export { countSagaLog, countUnknownSaga, isIgnoredNote } from './metrics.ts'
export {
  createSagaRegistry,
  nameOf,
  type RegisteredSaga,
  registerSaga,
  type SagaRegistry,
} from './registry.ts'
export { type DecidedEntry, readSagaLogs, replay, replayAll } from './replay.ts'
export type {
  LoggedEffect,
  NewLogEntry,
  SagaIntervention,
  SagaLogEntry,
  SagaRecord,
} from './saga-record.ts'
export {
  type Backlog,
  insertIntervention,
  insertSagaLog,
  insertSagas,
  lockDueSagas,
  lockSagas,
  readTransportAgeMs,
  saveSagas,
} from './store.ts'
export { saga, sagaIntervention, sagaLog } from './tables.ts'
export { createSagaWatch, type SagaWatchOptions } from './watch.ts'
