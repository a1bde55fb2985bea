import { AppError } from '@edp/runtime'
import { unavailable } from './link.ts'
import { keyOf, type Outcomes, type PlacedRow } from './outcomes.ts'

/** A channel that confirms what is published on it. */
export interface ConfirmingChannel {
  /** @throws when the row cannot be written on this channel */
  publish(row: PlacedRow['row'], onConfirm: (nack: unknown) => void): void
  /** Told about rows that no queue took, by message id; they are confirmed right after. */
  onReturn(listener: (messageId: string) => void): void
  /** Told first of all when the channel is closed, before any row is reported as unconfirmed. */
  onClose(listener: () => void): void
  removeListeners(): void
  readonly closed: boolean
}

/** How a window ended: the rows of which nothing is known, and whether nothing was confirmed for too long. */
export interface WindowEnd {
  readonly unsettled: readonly PlacedRow[]
  readonly timedOut: boolean
}

/**
 * Publishes rows with many unconfirmed at once, but only one of each key: the next row of a key goes out when the one
 * before it is confirmed. So a lost confirm never puts a later message of a key before an earlier one.
 */
export class ConfirmWindow {
  readonly #channel: ConfirmingChannel
  readonly #outcomes: Outcomes
  readonly #windowMax: number
  readonly #unsettled: Set<PlacedRow>
  readonly #followers = new Map<string, PlacedRow[]>()
  readonly #ready: PlacedRow[] = []
  readonly #returned = new Set<string>()
  readonly #ended = Promise.withResolvers<WindowEnd>()
  readonly #timer: NodeJS.Timeout
  #inFlight = 0
  #isOver = false

  constructor(
    channel: ConfirmingChannel,
    rows: readonly PlacedRow[],
    options: { outcomes: Outcomes; windowMax: number; confirmTimeoutMs: number },
  ) {
    this.#channel = channel
    this.#outcomes = options.outcomes
    this.#windowMax = options.windowMax
    this.#unsettled = new Set(rows)
    this.#timer = setTimeout(() => this.#end(true), options.confirmTimeoutMs)
    for (const row of rows) {
      const followers = this.#followers.get(keyOf(row.row))
      if (followers) followers.push(row)
      else {
        this.#followers.set(keyOf(row.row), [])
        this.#ready.push(row)
      }
    }
    // Taken from the end, both of them: the first row first.
    this.#ready.reverse()
    for (const followers of this.#followers.values()) followers.reverse()
  }

  /** Resolves when every row is settled, or when no more can be. */
  run(): Promise<WindowEnd> {
    this.#channel.onReturn((messageId) => this.#returned.add(messageId))
    this.#channel.onClose(() => this.#end(false))
    this.#fill()
    return this.#ended.promise
  }

  #fill(): void {
    while (this.#inFlight < this.#windowMax) {
      if (this.#channel.closed) this.#end(false)
      if (this.#isOver) return
      const row = this.#ready.pop()
      if (row === undefined) break
      // A row before it, or its destination, may have failed since.
      if (this.#outcomes.sendable([row]).length > 0) this.#send(row)
      else this.#settle(row)
    }
    if (this.#inFlight === 0) this.#end(false)
  }

  #send(placed: PlacedRow): void {
    try {
      this.#channel.publish(placed.row, (nack) => this.#confirmed(placed, nack))
      this.#inFlight += 1
    } catch (error) {
      if (this.#channel.closed) return
      const { type, messageId, destination } = placed.row
      const message = `${type} ${messageId} cannot be encoded for ${destination}`
      this.#outcomes.failRow(
        placed,
        new AppError('cannot-encode', message, { retry: 'permanent', cause: error }),
      )
      this.#settle(placed)
    }
  }

  #confirmed(placed: PlacedRow, nack: unknown): void {
    if (this.#isOver) return
    this.#timer.refresh()
    this.#inFlight -= 1
    const { destination, messageId } = placed.row
    if (this.#returned.delete(messageId)) {
      const reason = new Error(`${destination} leads to no queue`)
      this.#outcomes.failDestination(destination, [placed], unavailable(reason))
    } else if (nack) {
      this.#outcomes.failDestination(destination, [placed], unavailable(nack))
    } else {
      this.#outcomes.acknowledge(placed)
    }
    this.#settle(placed)
    this.#fill()
  }

  /** What became of a row is known: the next one of its key may go. */
  #settle(placed: PlacedRow): void {
    this.#unsettled.delete(placed)
    const next = this.#followers.get(keyOf(placed.row))?.pop()
    if (next) this.#ready.push(next)
  }

  #end(timedOut: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#channel.removeListeners()
    this.#ended.resolve({ unsettled: [...this.#unsettled], timedOut })
  }
}
