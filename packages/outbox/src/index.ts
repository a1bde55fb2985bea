export { enqueue } from './enqueue.ts'
export type { OutboxRow, Publisher, PublishOutcome } from './publisher.ts'
export { outbox, outboxLease } from './tables.ts'
