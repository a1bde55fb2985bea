/** A delivery as far as its acknowledgement goes: a channel counts them up from 1. */
interface Delivered {
  readonly fields: { readonly deliveryTag: number }
}

/** Deliveries that follow each other and are all handled, or all not. */
export interface Run<D> {
  readonly last: D
  readonly isHandled: boolean
}

/**
 * Which deliveries of a channel may be acknowledged. One acknowledgement of many costs the broker a fraction of many of one;
 * but it covers every tag below, so it may not pass one that is still being handled.
 */
export class AckWindow<D extends Delivered> {
  /** What is delivered and not covered by an acknowledgement, in order. */
  #open: D[] = []
  #acknowledged = 0
  readonly #handled = new Set<number>()

  /** Notes what the channel has delivered. All of it, in its order. */
  arrive(deliveries: readonly D[]): void {
    this.#open.push(...deliveries)
  }

  /** Notes that deliveries are handled. Gives the last one up to which all are, when there is a new one. */
  settle(deliveries: readonly D[]): D | undefined {
    for (const { fields } of deliveries) {
      if (fields.deliveryTag > this.#acknowledged) this.#handled.add(fields.deliveryTag)
    }
    let covered = 0
    while (this.#handled.delete(this.#acknowledged + 1)) {
      this.#acknowledged += 1
      covered += 1
    }
    return this.#open.splice(0, covered).at(-1)
  }

  /** What is open, up to the last one that is handled, for one acknowledgement or refusal a run. */
  takeRuns(): Run<D>[] {
    const runs: Run<D>[] = []
    for (const last of this.#open) {
      const isHandled = this.#handled.has(last.fields.deliveryTag)
      if (runs.at(-1)?.isHandled === isHandled) runs.pop()
      runs.push({ last, isHandled })
    }
    if (runs.at(-1)?.isHandled === false) runs.pop()
    this.#acknowledged += this.#open.length
    this.#open = []
    this.#handled.clear()
    return runs
  }
}
