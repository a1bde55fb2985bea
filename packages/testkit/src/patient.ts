/**
 * Time-outs in milliseconds for the database of a test that is not about them: whoever waits for a lock on a busy machine gets it.
 * That is no deadlock, which Postgres finds by itself within a second.
 */
export const patient = {
  lockTimeoutMs: 30_000,
  statementTimeoutMs: 30_000,
  transactionTimeoutMs: 60_000,
} as const
