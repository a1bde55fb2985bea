/** A delivery as far as its acknowledgement goes: a channel counts them up from 1. */
interface Delivered {
  readonly fields: { readonly deliveryTag: number }
}

/**
 * Which deliveries of a channel may be acknowledged. One acknowledgement of many costs the broker a fraction of many of one;
 * but it covers every tag below, so it may not pass one that is still being handled.
 */
export class AckWindow<D extends Delivered> {
  #upTo = 0
  readonly #beyond = new Map<number, D>()

  /** Notes that deliveries are handled. Gives the last one up to which all are, when there is a new one. */
  settle(deliveries: readonly D[]): D | undefined {
    for (const delivery of deliveries) {
      const tag = delivery.fields.deliveryTag
      if (tag > this.#upTo) this.#beyond.set(tag, delivery)
    }
    let last: D | undefined
    for (;;) {
      const next = this.#beyond.get(this.#upTo + 1)
      if (next === undefined) return last
      this.#upTo += 1
      this.#beyond.delete(this.#upTo)
      last = next
    }
  }

  /** What is handled and lies behind one that is not: to be acknowledged one by one. */
  takeRest(): D[] {
    const rest = [...this.#beyond.values()]
    this.#beyond.clear()
    return rest
  }
}
