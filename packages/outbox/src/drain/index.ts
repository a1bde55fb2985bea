export { type DrainBounds, defaultBounds } from './bounds.ts'
export {
  type DeadRowDetail,
  type DeadRowSummary,
  findDeadRow,
  listDeadRows,
} from './dead-row-reads.ts'
export type { DeadRowPolicy } from './dead-rows.ts'
export { createDrain, type Drain, type DrainOptions } from './drain.ts'
export {
  discardDeadRow,
  lockDeadRow,
  type LockedDeadRow,
  putBackDeadRow,
  type ResolvedAt,
} from './put-back.ts'
