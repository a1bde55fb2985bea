import { AppError, type Backoff, fullJitter } from '@edp/runtime'

/**
 * A connection of a publisher. It is made when it is needed and dropped when it failed, so whoever publishes next gets a
 * new one; that is all the reconnecting there is. After a failure the next try waits, and whoever asks meanwhile is
 * refused at once instead of piling up.
 */
export class Link<T> {
  readonly #open: () => Promise<T>
  readonly #close: (connection: T) => Promise<unknown>
  readonly #backoff: Backoff
  #current: Promise<T> | undefined
  #failures = 0
  #notBefore = 0

  constructor(options: {
    open: () => Promise<T>
    close: (connection: T) => Promise<unknown>
    backoff?: Backoff
  }) {
    this.#open = options.open
    this.#close = options.close
    this.#backoff = options.backoff ?? { baseMs: 200, capMs: 5000 }
  }

  /** @throws AppError `destination-unavailable` while there is no connection */
  async get(): Promise<T> {
    if (this.#current === undefined) {
      const waitMs = this.#notBefore - performance.now()
      if (waitMs > 0) throw unavailable(undefined, waitMs)
      this.#current = this.#open()
    }
    const current = this.#current
    try {
      return await current
    } catch (error) {
      this.#drop(current)
      throw unavailable(error)
    }
  }

  /** To be called when a message got through: the next failure is the first one again. */
  worked(): void {
    this.#failures = 0
  }

  /** Closes the connection, which failed; the next `get` makes a new one. Does not wait. */
  drop(): void {
    if (this.#current) this.#drop(this.#current)
  }

  /** Closes the connection, which works but knows things that are no longer so; the next `get` makes a new one at once. */
  renew(): void {
    void this.close().catch(() => undefined)
  }

  /** Closes the connection and waits for it. */
  async close(): Promise<void> {
    const current = this.#current
    this.#current = undefined
    const connection = await current?.catch(() => undefined)
    if (connection !== undefined) await this.#close(connection)
  }

  #drop(failed: Promise<T>): void {
    if (this.#current !== failed) return
    this.#current = undefined
    this.#failures += 1
    this.#notBefore = performance.now() + fullJitter({ attempt: this.#failures, ...this.#backoff })
    // It is broken: how its closing ends is of no interest.
    void failed.then((connection) => this.#close(connection)).catch(() => undefined)
  }
}

/** The broker, or the way to it, is at fault: every message waits, no attempt is used. */
export function unavailable(cause: unknown, retryAfterMs?: number): AppError {
  const reason = cause instanceof Error ? cause.message : 'waiting before the next try'
  return new AppError('destination-unavailable', `cannot publish: ${reason}`, {
    retry: 'transient-everything',
    cause,
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
  })
}
