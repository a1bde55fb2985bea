import { messageWaitingV1, outgoing } from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import type { Tx } from '@edp/runtime'
import { deadLetter, originOfLetter, type Sender } from './dead-letter.ts'
import type { Failure } from './failure.ts'
import type { IncomingMessage } from './incoming-message.ts'
import { insertParked, type NewParked, readHeads, readHeldKeys, storedKey } from './parked-rows.ts'
import { afterFailure, type RetryPolicy } from './retry-policy.ts'

/** A message that was taken from a broker, as far as parking goes. */
export interface Parking {
  readonly incoming: IncomingMessage
  readonly inboxId: string
  readonly key: string | undefined
  /** Undefined when it only waits behind another. */
  readonly failure?: Failure | undefined
}

export interface ParkOptions {
  readonly consumer: { readonly name: string; readonly retry: RetryPolicy }
  readonly sender: Sender
}

/** How many messages were parked, by what became of them. */
export interface ParkedCounts {
  readonly retrying: number
  readonly waiting: number
  readonly dead: number
}

export const nothingParked: ParkedCounts = { retrying: 0, waiting: 0, dead: 0 }

/** What of a batch is handled now, and what is parked instead. */
export interface SortedOut<M> {
  readonly toHandle: M[]
  readonly toPark: (Parking | M)[]
}

/**
 * The keys of messages that a parked message holds, where the order of a key is needed. It asks the database only then, so other
 * consumers pay nothing. To be sent behind the claim of the messages: whoever parked an earlier one of a key has committed by then,
 * since it held the claim of that one too.
 */
export async function heldKeys(
  tx: Tx,
  { name, retry }: ParkOptions['consumer'],
  messages: readonly Parking[],
): Promise<Set<string> | undefined> {
  if (retry.order === 'skip') return undefined
  const keys = new Set<string>()
  for (const { key } of messages) if (key !== undefined) keys.add(storedKey(key))
  return readHeldKeys(tx, name, [...keys])
}

/**
 * Pure: which messages can be handled. Not those that failed already, nor what comes behind a parked message of its key; `held` is
 * undefined where the order of a key is not needed.
 */
export function sortOut<M extends Parking>(
  messages: readonly M[],
  held: ReadonlySet<string> | undefined,
): SortedOut<M> {
  const heldNow = held && new Set(held)
  const toHandle: M[] = []
  const toPark: (Parking | M)[] = []
  for (const message of messages) {
    const key = heldNow && message.key !== undefined ? storedKey(message.key) : undefined
    const isHeld = key !== undefined && heldNow?.has(key) === true
    if (message.failure === undefined && !isHeld) {
      toHandle.push(message)
      continue
    }
    toPark.push(message)
    if (key !== undefined) heldNow?.add(key)
  }
  return { toHandle, toPark }
}

/**
 * Parks messages that this transaction has claimed, in their order, and tells of those that are dead and of how many wait.
 * @returns what became of them
 */
export async function park(
  tx: Tx,
  options: ParkOptions,
  messages: readonly Parking[],
): Promise<ParkedCounts> {
  if (messages.length === 0) return nothingParked
  const rows = messages.map((message) => rowOf(message, options))
  insertParked(tx, rows)
  for (const row of rows) if (row.status === 'dead') tellDead(tx, row, options.sender)
  await tellWaiting(tx, options, waitingByKey(rows))
  const count = (status: NewParked['status']) => rows.filter((row) => row.status === status).length
  return { retrying: count('retrying'), waiting: count('waiting'), dead: count('dead') }
}

function rowOf(message: Parking, { consumer, sender: { now } }: ParkOptions): NewParked {
  const { incoming, inboxId: messageId, key, failure } = message
  const base = { consumer: consumer.name, messageId, key, incoming }
  if (failure === undefined) return { ...base, status: 'waiting', attempts: 0, delayMs: 0 }
  const past = { attempts: 0, firstFailedAt: now }
  const verdict = afterFailure(consumer.retry, past, failure, { now })
  const { attempts } = verdict
  const failed = { reason: failure.reason, failure, firstFailedAt: now, lastFailedAt: now }
  if (verdict.status === 'retrying') {
    return { ...base, status: 'retrying', attempts, delayMs: verdict.delayMs, failed }
  }
  const { reason } = verdict
  const dead = { ...failed, reason }
  return { ...base, status: 'dead', attempts, delayMs: 0, failed: dead, deadLetteredAt: now }
}

function tellDead(tx: Tx, row: NewParked, sender: Sender): void {
  const { consumer, messageId, incoming, attempts, failed } = row
  if (failed === undefined) return
  const letter = deadLetter({
    ...failed,
    consumer,
    messageId,
    incoming,
    attempts,
    redriveId: row.redriveId ?? null,
  })
  enqueue(tx, [letter], originOfLetter(incoming, sender))
}

/** The last of the messages that wait for each key. */
function waitingByKey(rows: readonly NewParked[]): Map<string, IncomingMessage> {
  const waiting = new Map<string, IncomingMessage>()
  for (const { status, key, incoming } of rows) {
    if (status === 'waiting' && key !== undefined) waiting.set(storedKey(key), incoming)
  }
  return waiting
}

/** Says how many messages wait behind the dead ones of the keys. Of one that is only being retried nobody has been told. */
export async function tellWaiting(
  tx: Tx,
  { consumer, sender }: ParkOptions,
  causes: ReadonlyMap<string, Pick<IncomingMessage, 'transport' | 'headers'>>,
): Promise<void> {
  if (causes.size === 0) return
  for (const head of await readHeads(tx, consumer.name, [...causes.keys()])) {
    const cause = causes.get(head.key)
    if (!head.isDeadLettered || cause === undefined) continue
    const { messageId, key, waiting } = head
    const body = { consumer: consumer.name, messageId, key, waiting }
    enqueue(tx, [outgoing(messageWaitingV1, messageId, body)], originOfLetter(cause, sender))
  }
}
