/**
 * What a failure says about trying again; the policy reads this and never the message's text.
 * - `permanent`: this message can never be handled: dead at once.
 * - `transient-message`: this message may be handled later; others are not affected.
 * - `transient-everything`: nothing can be handled now: pause and try again in place, no attempt used.
 */
export type FailureClass = 'permanent' | 'transient-message' | 'transient-everything'

/** A fault with a stable code and a failure class. Expected refusals are return values, not errors. */
export class AppError extends Error {
  readonly code: string
  readonly retry: FailureClass
  /** How long the other side asked us to wait, when it did. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: string,
    message: string,
    options: { retry: FailureClass; cause?: unknown; retryAfterMs?: number },
  ) {
    super(message, { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.retry = options.retry
    this.retryAfterMs = options.retryAfterMs
  }
}

/** SQLSTATE classes that say that the message, and not the database, is at fault: data and constraints. */
const permanentSqlClasses = new Set(['22', '23'])

/**
 * The failure class of anything that was thrown. Postgres classes 22 and 23 are permanent, every other Postgres or
 * network error concerns everything, an unknown error of a handler concerns its message.
 */
export function classify(error: unknown): FailureClass {
  if (error instanceof AppError) return error.retry
  if (!(error instanceof Error)) return 'transient-message'
  const state = sqlState(error)
  if (state)
    return permanentSqlClasses.has(state.slice(0, 2)) ? 'permanent' : 'transient-everything'
  if (isConnectionError(error)) return 'transient-everything'
  return 'transient-message'
}

/** The SQLSTATE of a Postgres error, also where a library (drizzle) wrapped it as a cause. */
export function sqlState(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && /^[0-9A-Z]{5}$/.test(at.code)) return at.code
  }
  return undefined
}

const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])

// pg reports a lost connection, and a pool that found none in time, as plain errors without a code.
const pgConnectionMessages =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after calling end)/

/** Whether the error says that a connection was lost or could not be made. */
export function isConnectionError(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && typeof at.code === 'string' && networkCodes.has(at.code)) return true
    if (pgConnectionMessages.test(at.message)) return true
  }
  return false
}

/** For the end of an exhaustive switch: does not compile while a case is missing. */
export function unreachable(value: never): never {
  throw new AppError('unreachable', `unexpected value ${JSON.stringify(value)}`, {
    retry: 'permanent',
  })
}
