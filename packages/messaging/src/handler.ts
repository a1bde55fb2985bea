import {
  type ComposedMessage,
  type Contract,
  type Coordination,
  type Envelope,
  type Message,
  type Outgoing,
  readBody,
} from '@edp/event-schemas'
import type { Tx } from '@edp/runtime'
import { defaultRetryPolicy, type RetryPolicy } from './retry-policy.ts'

/** The rows that a service's messages need in memory: a name for each table, with its row type. */
export type Tables = object

/** The rows that a message needs, by table: the keys of its in-memory maps. */
export type Keys<T extends Tables> = { readonly [K in keyof T]?: readonly string[] }

/** The keys of a whole batch: every table is there, sorted, each key once. */
export type AllKeys<T extends Tables> = { readonly [K in keyof T]: readonly string[] }

/** The rows of a batch in memory, by table and key. */
export type Rows<T extends Tables> = { readonly [K in keyof T]: ReadonlyMap<string, T[K]> }

/** The rows of a batch as they were read. */
export type Loaded<T extends Tables> = { readonly [K in keyof T]: Map<string, T[K]> }

/** Rows that were changed or made, by table. */
export type Changed<T extends Tables> = { readonly [K in keyof T]?: readonly T[K][] }

/** Everything that a batch changed: every table is there, each row once, in its last state. */
export type AllChanged<T extends Tables> = { readonly [K in keyof T]: readonly T[K][] }

/** What a message brings about. */
export interface Decision<T extends Tables> {
  readonly changed?: Changed<T>
  readonly messages?: readonly Outgoing[]
}

/** The business rule of one message type: a file of its own with these two functions. */
export interface MessageHandler<Body, T extends Tables> {
  /** Which rows the message needs. */
  keys(message: Message<Body>): Keys<T>
  /** Pure: from the rows that it named to what changes and what is sent. */
  decide(message: Message<Body>, rows: Rows<T>, now: Date): Decision<T>
}

/** A message that was read and bound to its handler. */
export interface BoundMessage<T extends Tables> {
  readonly envelope: Envelope
  readonly keys: Keys<T>
  decide(rows: Rows<T>, now: Date): Decision<T>
}

/** What came of binding a message. */
export type Binding<T extends Tables> =
  | { readonly ok: true; readonly bound: BoundMessage<T> }
  | {
      readonly ok: false
      readonly reason: 'poison' | 'unknown-version'
      readonly problems: string[]
    }

/** A message type that a consumer handles. The type of its body is closed over. */
export interface HandlerEntry<T extends Tables> {
  readonly contract: Pick<Contract, 'name' | 'type' | 'version' | 'destination'>
  /** When given, messages of the other style are skipped, by their header. */
  readonly coordination: Coordination | undefined
  bind(envelope: Envelope, body: unknown): Binding<T>
}

/** A row of `consumers.ts`: this message type is handled by that file, in one coordination or in both. */
export function on<Body, T extends Tables>(
  contract: Contract<Body>,
  handler: MessageHandler<Body, T>,
  options: { only?: Coordination } = {},
): HandlerEntry<T> {
  return {
    contract,
    coordination: options.only,
    bind: (envelope, raw) => {
      const reading = readBody(contract, envelope.type, raw)
      if (!reading.ok) return reading
      const message = { envelope, body: reading.body }
      return {
        ok: true,
        bound: {
          envelope,
          keys: handler.keys(message),
          decide: (rows, now) => handler.decide(message, rows, now),
        },
      }
    },
  }
}

/** How a consumer's rows are named, read and written. */
export interface RowStore<T extends Tables> {
  /** The key of a row, for each table, in the order in which the tables are locked. */
  readonly keyOf: { readonly [K in keyof T]: (row: T[K]) => string }
  /**
   * Reads and locks all rows of a batch: one statement a table, sorted by key, in the order of the transaction rule. A row
   * that does not exist is left out of its map.
   */
  load(tx: Tx, keys: AllKeys<T>): Promise<Loaded<T>>
  /**
   * Writes what changed: one statement a table. Need not wait for their answers. `sent` is what the batch sends, in order;
   * it is in the outbox already.
   */
  save(tx: Tx, changed: AllChanged<T>, sent: readonly ComposedMessage[]): Promise<void>
}

/** All that one service takes in over one transport. */
export interface Consumer<T extends Tables> {
  /** `inventory-service.kafka`: the Kafka group, the inbox name, the redrive target. */
  readonly name: string
  readonly store: RowStore<T>
  readonly handlers: ReadonlyMap<string, HandlerEntry<T>>
  readonly retry: RetryPolicy
  /** Told what a batch changed, after its commit: for waking up due work. It must not throw. */
  readonly afterCommit: (changed: AllChanged<T>) => void
}

/**
 * Declares the consumer of a service on a transport. `retry` says what becomes of messages that fail.
 * @throws Error when a message type is listed twice
 */
export function consumer<T extends Tables>(options: {
  name: string
  store: RowStore<T>
  handlers: readonly HandlerEntry<T>[]
  retry?: RetryPolicy
  afterCommit?: (changed: AllChanged<T>) => void
}): Consumer<T> {
  const handlers = new Map<string, HandlerEntry<T>>()
  for (const entry of options.handlers) {
    const { name } = entry.contract
    if (handlers.has(name)) throw new Error(`${options.name} handles ${name} twice`)
    handlers.set(name, entry)
  }
  const { name, store, retry = defaultRetryPolicy, afterCommit = () => undefined } = options
  return { name, store, handlers, retry, afterCommit }
}
