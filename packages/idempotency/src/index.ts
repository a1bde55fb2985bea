export { claim, isPartitionMissing } from './inbox.ts'
export { createInboxUpkeep, type InboxUpkeepOptions } from './inbox-upkeep.ts'
export {
  claimKeys,
  type KeyRequest,
  readKeys,
  type ScopedKey,
  type StoredAnswer,
} from './idempotency-key.ts'
export { idempotencyKey, inbox } from './tables.ts'
