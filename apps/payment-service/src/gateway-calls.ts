import { type Component, faultPoint, histogram, type Logger } from '@edp/runtime'
import type { Circuit } from './circuit.ts'
import { callFor, type ChargeAnswer, type Payment, type VoidAnswer } from './domain/payment.ts'
import type { Gateway, Unreachable } from './gateway.ts'
import { WaitingCalls } from './waiting-calls.ts'

/** What the gateway said about a payment. */
export type GatewayAnswer = { readonly orderId: string } & (
  | { readonly call: 'charge'; readonly answer: ChargeAnswer }
  | { readonly call: 'void'; readonly answer: VoidAnswer }
)

/** Writes an answer down; gives the payment when the gateway is to be called for it again at once. */
export type Record = (answer: GatewayAnswer) => Promise<Payment | undefined>

interface Call {
  readonly key: string
  readonly kind: 'charge' | 'void'
  readonly payment: Payment
}

const callSeconds = histogram(
  'edp_payment_gateway_call_seconds',
  'Calls of the gateway by outcome',
  ['call', 'outcome'],
)

/**
 * Calls the gateway for payments that are in the database as due, at most `callsMax` at a time, and hands on what it
 * said. Nothing here is needed for correctness: what is lost with the process is due again when its lease is over.
 */
export class GatewayCalls implements Component {
  readonly name = 'gateway-calls'
  readonly #gateway: Gateway
  readonly #circuit: Circuit
  readonly #record: Record
  readonly #logger: Logger
  readonly #callsMax: number
  readonly #inHandMax: number
  readonly #waiting = new WaitingCalls<Call>()
  /** Waiting, running or being recorded: what is claimed again meanwhile is not called twice. */
  readonly #inHand = new Set<string>()
  #running = 0
  #wakeUp: NodeJS.Timeout | undefined
  #stopping = false
  #idle: PromiseWithResolvers<void> | undefined

  constructor(options: {
    gateway: Gateway
    circuit: Circuit
    record: Record
    logger: Logger
    callsMax: number
    /** Beyond these, twice as many for express ones, a payment is left to the database, where it is found when its lease is over. */
    inHandMax: number
  }) {
    this.#gateway = options.gateway
    this.#circuit = options.circuit
    this.#record = options.record
    this.#logger = options.logger
    this.#callsMax = options.callsMax
    this.#inHandMax = options.inHandMax
  }

  async start(): Promise<void> {}

  /** Ends what runs; what waits is left to the database. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#wakeUp)
    for (const call of this.#waiting.clear()) this.#inHand.delete(call.key)
    if (this.#inHand.size === 0) return
    this.#idle ??= Promise.withResolvers<void>()
    await this.#idle.promise
  }

  /** How many more payments are worth fetching: none while the gateway is away. */
  get room(): number {
    if (this.#stopping) return 0
    if (this.#circuit.isOpen) {
      const mayTry = this.#circuit.allowed(1, Date.now()) > 0
      return mayTry && this.#inHand.size === 0 ? 1 : 0
    }
    return this.#inHandMax - this.#inHand.size
  }

  /** Takes on the payments that want a call and are not in hand already. */
  submit(payments: readonly Payment[]): void {
    for (const payment of payments) {
      const kind = callFor(payment)
      if (kind === undefined || this.#stopping || this.#isFullFor(payment)) continue
      // Not by order alone: the void of a charge that hangs must not wait for it.
      const key = `${payment.orderId}/${kind}`
      if (this.#inHand.has(key)) continue
      this.#inHand.add(key)
      this.#waiting.push({ key, kind, payment }, payment.cause.priority)
    }
    this.#pump()
  }

  #isFullFor({ cause }: Payment): boolean {
    const max = cause.priority === 'express' ? 2 * this.#inHandMax : this.#inHandMax
    return this.#inHand.size >= max
  }

  #pump(): void {
    const now = Date.now()
    while (this.#waiting.size > 0 && this.#running < this.#circuit.allowed(this.#callsMax, now)) {
      const call = this.#waiting.take()
      if (call) void this.#run(call)
    }
    if (this.#waiting.size > 0 && this.#circuit.isOpen) this.#pumpLater(now)
  }

  #pumpLater(now: number): void {
    clearTimeout(this.#wakeUp)
    if (this.#running > 0 || this.#stopping) return
    this.#wakeUp = setTimeout(() => this.#pump(), this.#circuit.waitMs(now))
  }

  /** Never rejects. */
  async #run(call: Call): Promise<void> {
    this.#running += 1
    try {
      const answer = await this.#call(call).finally(() => {
        this.#running -= 1
      })
      if (answer === undefined && !this.#stopping) {
        // Nothing was sent, so it waits here for the gateway, as the next to try.
        this.#waiting.putBack(call, call.payment.cause.priority)
        this.#pump()
        return
      }
      this.#pump()
      const next = answer && (await this.#record(answer))
      this.#release(call)
      if (next) this.submit([next])
    } catch (err) {
      const { orderId } = call.payment
      this.#logger.warn({ err, orderId }, 'a call was not recorded and will be repeated')
      this.#release(call)
    }
  }

  #release(call: Call): void {
    this.#inHand.delete(call.key)
    if (this.#inHand.size === 0) this.#idle?.resolve()
  }

  /** Undefined when nothing was sent. */
  async #call({ kind, payment }: Call): Promise<GatewayAnswer | undefined> {
    const before = faultPoint('payment.before-call')
    if (before) await before
    const { orderId } = payment
    const startedMs = performance.now()
    if (kind === 'charge') {
      const answer = await this.#gateway.charge(payment)
      this.#note(kind, answer, startedMs)
      if (answer.kind === 'unreachable') return undefined
      await faultPoint('payment.after-call')
      return { orderId, call: kind, answer }
    }
    const answer = await this.#gateway.void(payment)
    this.#note(kind, answer, startedMs)
    if (answer.kind === 'unreachable') return undefined
    await faultPoint('payment.after-call')
    return { orderId, call: kind, answer }
  }

  #note(
    call: Call['kind'],
    answer: ChargeAnswer | VoidAnswer | Unreachable,
    startedMs: number,
  ): void {
    const seconds = (performance.now() - startedMs) / 1000
    callSeconds.observe({ call, outcome: answer.kind }, seconds)
    const wasOpen = this.#circuit.isOpen
    this.#circuit.note(answer, Date.now())
    if (wasOpen === this.#circuit.isOpen) return
    if (wasOpen) this.#logger.info('the gateway can be reached again')
    else this.#logger.warn({ answer }, 'the gateway cannot be reached, its calls wait')
  }
}
