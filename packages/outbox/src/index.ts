export { enqueue } from './enqueue.ts'
export type { OutboxRow, Publisher, PublishOutcome } from './publisher.ts'
export { outbox, outboxDead, outboxLease } from './tables.ts'
