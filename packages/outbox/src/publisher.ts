import type { AppError } from '@edp/runtime'

/** A row of the outbox as the relay reads it: the payload stays text, nothing of it is parsed. */
export interface OutboxRow {
  readonly id: number
  readonly messageId: string
  readonly destination: string
  readonly key: string
  readonly type: string
  readonly payload: string
  readonly headers: Readonly<Record<string, string>>
  /** The same as it lies in the table, for a publisher that needs no object of it: `headers` may be read when it is asked for. */
  readonly headersJson?: string
  /** Bytes of key, payload and headers as JSON, for a reader that knows them: counting costs a publisher as much as sending. */
  readonly bytes?: number
}

/**
 * What a broker said of a batch: for each message, in order, `undefined` when acknowledged, else why not. `permanent` means
 * that this message can never be published (too large, cannot be encoded); anything else that its destination takes nothing now.
 */
export type PublishOutcome = readonly (AppError | undefined)[]

/** Puts messages on a broker. A message that is not acknowledged may nevertheless have arrived. */
export interface Publisher {
  publish(rows: readonly OutboxRow[]): Promise<PublishOutcome>
}
