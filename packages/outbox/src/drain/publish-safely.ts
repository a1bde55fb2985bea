import { AppError } from '@edp/runtime'
import type { OutboxRow, Publisher, PublishOutcome } from '../publisher.ts'

/** Publishes; a publisher that throws has published nothing as far as is known. */
export async function publishSafely(
  publisher: Publisher,
  rows: readonly OutboxRow[],
): Promise<PublishOutcome> {
  try {
    return await publisher.publish(rows)
  } catch (error) {
    const failure = asFailure(error)
    return rows.map(() => failure)
  }
}

// Nothing that is thrown says that a row is at fault: the publisher would have named it.
function asFailure(error: unknown): AppError {
  const isOutage = error instanceof AppError && error.retry !== 'permanent'
  if (isOutage) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new AppError('publish-failed', `cannot publish: ${reason}`, {
    retry: 'transient-everything',
    cause: error,
  })
}
