interface Waiting {
  readonly alone: boolean
  readonly go: () => void
}

/** Lets work of a process run together, or one piece of it alone; in the order in which they came. */
export class Turns {
  readonly #waiting: Waiting[] = []
  #running = 0
  #isAlone = false

  /** Runs beside others. Costs nothing while nobody wants to be alone. */
  together<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(work, false)
  }

  /** Runs while nothing else does. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.#run(work, true)
  }

  async #run<T>(work: () => Promise<T>, alone: boolean): Promise<T> {
    if (this.#waiting.length > 0 || !this.#mayRun(alone)) {
      await new Promise<void>((go) => {
        this.#waiting.push({ alone, go })
      })
    } else {
      this.#begin(alone)
    }
    try {
      return await work()
    } finally {
      this.#running -= 1
      this.#isAlone = false
      this.#next()
    }
  }

  #mayRun(alone: boolean): boolean {
    return alone ? this.#running === 0 : !this.#isAlone
  }

  #begin(alone: boolean): void {
    this.#running += 1
    this.#isAlone = alone
  }

  // Begun before it is told, so that nobody who comes meanwhile takes its turn.
  #next(): void {
    for (;;) {
      const [first] = this.#waiting
      if (first === undefined || !this.#mayRun(first.alone)) return
      this.#waiting.shift()
      this.#begin(first.alone)
      first.go()
    }
  }
}
