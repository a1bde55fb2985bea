import type { z } from 'zod'
import {
  type Coordination,
  type Direction,
  type Envelope,
  newMessageId,
  parseType,
} from './envelope.ts'
import type { Priority } from './fields.ts'
import { toHeaders, type Transport } from './headers.ts'

/**
 * Where messages of a contract go: a Kafka topic, or a RabbitMQ exchange with a routing key. No namespace. `express` is the
 * routing key of the express ones, where the contract has such a class: they go to a queue of their own.
 */
export type Destination =
  | { readonly transport: 'kafka'; readonly topic: string }
  | {
      readonly transport: 'rabbitmq'
      readonly exchange: string
      readonly routingKey: string
      readonly express?: string
    }

/**
 * A message type in one version: its schema and where it goes. `previous` names the version before it
 * and how a body of that version becomes one of this.
 */
export interface Contract<Body = unknown> {
  readonly type: string
  readonly name: string
  readonly version: number
  readonly destination: Destination
  readonly body: z.ZodType<Body>
  readonly previous?: Upcaster<Body>
}

/** The body of a contract. */
export type BodyOf<C> = C extends Contract<infer Body> ? Body : never

interface Upcaster<Body> {
  readonly contract: Contract
  /** Reads a body of the older version and makes one of the newer. */
  readonly read: (type: string, body: unknown) => BodyReading<Body>
}

/** What came of reading a body: the body, or every problem with it. */
export type BodyReading<Body> =
  | { readonly ok: true; readonly body: Body }
  | {
      readonly ok: false
      readonly reason: 'poison' | 'unknown-version'
      readonly problems: string[]
    }

/**
 * Declares a message type.
 * @throws Error when the type has no version
 */
export function defineContract<Body>(definition: {
  type: string
  destination: Destination
  body: z.ZodType<Body>
  previous?: Upcaster<Body>
}): Contract<Body> {
  const parsed = parseType(definition.type)
  if (!parsed) throw new Error(`message type ${definition.type} has no version such as .v1`)
  return { ...definition, ...parsed }
}

/** Says how a body of the version before becomes one of the next; for `previous` of `defineContract`. */
export function upcast<Old, New>(contract: Contract<Old>, up: (old: Old) => New): Upcaster<New> {
  return {
    contract,
    read: (type, body) => {
      const reading = readBody(contract, type, body)
      return reading.ok ? { ok: true, body: up(reading.body) } : reading
    },
  }
}

/**
 * Checks a body against the contract, older versions against theirs and then upcast. Unknown fields are ignored, so
 * that a producer may add one. A version newer than the contract is `unknown-version`, not poison: a later
 * deployment of the consumer will know it.
 */
export function readBody<Body>(
  contract: Contract<Body>,
  type: string,
  body: unknown,
): BodyReading<Body> {
  if (type === contract.type) {
    const result = contract.body.safeParse(body)
    if (result.success) return { ok: true, body: result.data }
    const problems = result.error.issues.map(
      (issue) => `${['body', ...issue.path].join('.')}: ${issue.message}`,
    )
    return { ok: false, reason: 'poison', problems }
  }
  if (contract.previous) return contract.previous.read(type, body)
  return { ok: false, reason: 'unknown-version', problems: [`no schema for ${type} here`] }
}

/** A message that a decision wants sent. It gets its id, time and cause when it is composed. */
export interface Outgoing<Body = unknown> {
  readonly contract: Contract<Body>
  /** What the message is about: the order id. It is also the key that orders it. */
  readonly subject: string
  readonly body: Body
  readonly command?: CommandHeaders
}

/** Which command of which saga a command or reply belongs to. */
export interface CommandHeaders {
  readonly sagaid: string
  readonly step: string
  readonly direction: Direction
  readonly attempt: number
}

/** Pairs a contract with a body of its type, for the list of messages that a decision returns. */
export function outgoing<Body>(
  contract: Contract<Body>,
  subject: string,
  body: Body,
  command?: CommandHeaders,
): Outgoing {
  return command ? { contract, subject, body, command } : { contract, subject, body }
}

/** Who sends a message, when, and what caused it. */
export interface Origin {
  readonly source: string
  /** Prefix of every topic, exchange and queue, so that tests and deployments share a broker. */
  readonly namespace: string
  readonly now: Date
  readonly coordination: Coordination
  readonly causationId?: string
  readonly traceparent?: string
  /** Of the order that the message is about; default standard. An answer has that of its question. */
  readonly priority?: Priority | undefined
}

/** A message ready for the outbox: everything that the broker gets is in it. */
export interface ComposedMessage {
  readonly id: string
  readonly transport: Transport
  /** `edp.order.events`, or `edp.commands/inventory.commands` for an exchange and its routing key. */
  readonly destination: string
  readonly key: string
  readonly type: string
  readonly payload: string
  readonly headers: Record<string, string>
}

/**
 * Gives a message its envelope and checks its body.
 * @throws z.ZodError when the body does not fit the contract: the producer has a bug
 */
export function compose(message: Outgoing, origin: Origin): ComposedMessage {
  const { contract, subject } = message
  const body = contract.body.parse(message.body)
  const attributes: Envelope = {
    id: newMessageId(),
    source: origin.source,
    type: contract.type,
    subject,
    time: isoTime(origin.now),
    datacontenttype: 'application/json',
    correlationid: subject,
    causationid: origin.causationId,
    traceparent: origin.traceparent,
    coordination: origin.coordination,
    ...message.command,
    priority: origin.priority === 'express' ? 'express' : undefined,
  }
  const { transport } = contract.destination
  return {
    id: attributes.id,
    transport,
    destination: qualify(ofClass(contract.destination, origin.priority), origin.namespace),
    key: subject,
    type: contract.type,
    payload: JSON.stringify(body),
    headers: toHeaders(transport, attributes),
  }
}

/** The same exchange with the routing key of the priority, where there is one. */
function ofClass(destination: Destination, priority: Priority | undefined): Destination {
  if (priority !== 'express' || destination.transport === 'kafka') return destination
  const { express } = destination
  return express === undefined ? destination : { ...destination, routingKey: express }
}

let lastTime = { ms: 0, iso: new Date(0).toISOString() }

// The messages of a batch have one time: it is written once.
function isoTime(time: Date): string {
  const ms = time.getTime()
  if (ms !== lastTime.ms) lastTime = { ms, iso: time.toISOString() }
  return lastTime.iso
}

/** The name of a destination on the broker, with the namespace. */
export function qualify(destination: Destination, namespace: string): string {
  return destination.transport === 'kafka'
    ? `${namespace}.${destination.topic}`
    : `${namespace}.${destination.exchange}/${namespace}.${destination.routingKey}`
}
