import type { Priority } from '@edp/event-schemas'

// Of five calls that are made while both classes wait, four are express and one is standard.
const expressInARow = 4

/**
 * What waits for a free call of the gateway, in two lines. Express goes first, but for each fifth call: so an express one waits for
 * no line of standard ones, and these go on however many express ones come. Each line keeps its order.
 */
export class WaitingCalls<Call> {
  readonly #lines: Record<Priority, Call[]> = { standard: [], express: [] }
  #expressTaken = 0

  get size(): number {
    return this.#lines.standard.length + this.#lines.express.length
  }

  push(call: Call, priority: Priority): void {
    this.#lines[priority].push(call)
  }

  /** Puts back what was taken, as the next of its line. */
  putBack(call: Call, priority: Priority): void {
    this.#lines[priority].unshift(call)
  }

  take(): Call | undefined {
    const { standard, express } = this.#lines
    const isTurnOfStandard = this.#expressTaken >= expressInARow && standard.length > 0
    if (express.length === 0 || isTurnOfStandard) {
      this.#expressTaken = 0
      return standard.shift()
    }
    this.#expressTaken += 1
    return express.shift()
  }

  /** Takes all that is there. */
  clear(): Call[] {
    return [...this.#lines.express.splice(0), ...this.#lines.standard.splice(0)]
  }
}
