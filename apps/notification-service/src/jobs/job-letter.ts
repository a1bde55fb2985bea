import {
  type MessageDeadLetteredV1,
  messageDeadLetteredV1,
  messageResolvedV1,
  type Origin,
  type Outgoing,
  outgoing,
} from '@edp/event-schemas'
import { fingerprintOf } from '@edp/messaging'
import type { DeathReason, JobRow } from '../domain/sending.ts'
import { jobNames } from './job-queue.ts'

/** The consumer that dead letters of jobs name. It is no consumer of messages: the work is in the row of the notification. */
export const jobsConsumer = 'notification-service.jobs'

/** The dead letter of a notification that is given up. Its id is the notification's. */
export function jobLetter(row: JobRow, reason: DeathReason, now: Date): Outgoing {
  const { id, orderId, recipient, content, error, attempts } = row
  const what = JSON.stringify({ notificationId: id, orderId, recipient, content })
  const type = jobNames[content.kind]
  const code = error?.code ?? 'unknown'
  const body: MessageDeadLetteredV1 = {
    consumer: jobsConsumer,
    messageId: id,
    source: 'due-work',
    position: `notifications/${id}`,
    type,
    key: orderId,
    correlationId: orderId,
    causationId: row.causationId,
    traceparent: row.traceparent,
    content: { headers: {}, body: what, encoding: 'utf8', bytes: Buffer.byteLength(what) },
    reason,
    error: { code, message: error?.message ?? '', stack: null },
    attempts,
    firstFailedAt: (row.firstFailedAt ?? now).toISOString(),
    lastFailedAt: (row.lastFailedAt ?? now).toISOString(),
    fingerprint: fingerprintOf({ consumer: jobsConsumer, type, code, stack: null }),
    redriveId: row.redriveId,
  }
  return outgoing(messageDeadLetteredV1, orderId ?? id, body)
}

/** Says that the notification of a dead letter was sent after all. */
export function jobResolved({ id, orderId, redriveId }: JobRow): Outgoing {
  const body = { consumer: jobsConsumer, messageId: id, redriveId }
  return outgoing(messageResolvedV1, orderId ?? id, { ...body, outcome: 'applied' })
}

/** The envelope of what is said about a notification, maybe by another process and much later than its fact came. */
export function originOf(
  { causationId, coordination, traceparent }: JobRow,
  sender: Pick<Origin, 'source' | 'namespace' | 'now'>,
): Origin {
  return {
    ...sender,
    coordination: coordination ?? 'choreographed',
    ...(causationId !== null && { causationId }),
    ...(traceparent !== null && { traceparent }),
  }
}
