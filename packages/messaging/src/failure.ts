import { isPartitionMissing } from '@edp/idempotency'
import { deadLetterStackBytesMax, type DeadLetterReason } from '@edp/event-schemas'
import { AppError, classify, type FailureClass, sqlState } from '@edp/runtime'
import { firstBytes, storableText } from './storable-text.ts'

/** What a message failed with: what the policy reads, and what people are shown. */
export interface Failure {
  readonly class: FailureClass
  /** What it is dead of, when it is dead at once. */
  readonly reason: DeadLetterReason
  readonly code: string
  readonly message: string
  readonly stack: string | null
  /** How long the other side asked us to wait. */
  readonly retryAfterMs: number | undefined
}

/** Why a message cannot be read, as the code of the error that says so. */
export const unreadableReasons = ['poison', 'unknown-type', 'unknown-version', 'too-old'] as const
export type UnreadableReason = (typeof unreadableReasons)[number]

/** Codes that are the reason themselves. */
const reasons: readonly DeadLetterReason[] = [...unreadableReasons, 'process-killed']

const messageBytesMax = 4096

/** The failure of a message over which processes died. */
export function processKilled(kills: number): AppError {
  const message = `${kills} processes were killed while they handled it alone`
  return new AppError('process-killed', message, { retry: 'permanent' })
}

/** Reads anything that was thrown. Its texts can be stored as they are. */
export function failureOf(error: unknown): Failure {
  const failureClass = isPartitionMissing(error) ? 'transient-everything' : classify(error)
  const isAppError = error instanceof AppError
  return {
    class: failureClass,
    reason: (isAppError && reasons.find((reason) => reason === error.code)) || 'permanent',
    code: storableText(codeOf(error)),
    message: storableText(firstBytes(messageOf(error), messageBytesMax)),
    stack: stackOf(error),
    retryAfterMs: isAppError ? error.retryAfterMs : undefined,
  }
}

function codeOf(error: unknown): string {
  if (error instanceof AppError) return error.code
  const state = sqlState(error)
  if (state !== undefined) return state
  if (!(error instanceof Error)) return 'not-an-error'
  if ('code' in error && typeof error.code === 'string' && error.code !== '') return error.code
  return error.name || 'Error'
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, cause } = error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}

function stackOf(error: unknown): string | null {
  if (!(error instanceof Error) || error.stack === undefined) return null
  const { cause, stack } = error
  const whole =
    cause instanceof Error && cause.stack ? `${stack}\nCaused by: ${cause.stack}` : stack
  return storableText(firstBytes(whole, deadLetterStackBytesMax))
}
