export { claim } from './inbox.ts'
export { idempotencyKey, inbox } from './tables.ts'
