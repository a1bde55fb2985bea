/** Lets a loop wait until another one has something for it. */
export class Signal {
  #wake: (() => void) | undefined

  /** Waits for `set`, or until the time is over. What was set before does not count: look first, then wait. */
  wait(timeoutMs?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.set(), timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  set(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
