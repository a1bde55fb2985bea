import {
  addressedTo,
  type DeadLetterReason,
  type Message,
  type MessageDiscardV1,
  messageDiscardV1,
  type MessageRedriveV1,
  messageRedriveV1,
  type MessageResolvedV1,
  messageResolvedV1,
  outgoing,
  type Outgoing,
  type Transport,
} from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import { deadLetter } from './dead-letter.ts'
import {
  type AllChanged,
  type Changed,
  type Consumer,
  consumer,
  type Decision,
  type MessageHandler,
  on,
  type Rows,
} from './handler.ts'
import type { InboxWindow } from './inbox-id.ts'
import { type IncomingMessage, subjectOf } from './incoming-message.ts'
import type { NewParked } from './parked-rows.ts'
import {
  type DueWork,
  letterKey,
  type LetterId,
  type LetterRow,
  redriveRows,
  type RedriveTables,
} from './redrive-rows.ts'
import { defaultRetryPolicy } from './retry-policy.ts'

/** A consumer whose parked messages can be redriven. */
export interface RedriveTarget {
  /** Over what its messages come. */
  readonly transport: Transport
  /** Told after the commit that a message of it is due. It must not throw. */
  readonly afterCommit: () => void
}

export interface RedriveOptions {
  service: string
  targets: ReadonlyMap<string, RedriveTarget>
  dueWork: readonly DueWork[]
  window: () => InboxWindow
}

/** The consumer's name, and the inbox name of the commands. */
export function redriveConsumerName(service: string): string {
  return `${service}.redrive`
}

/**
 * Takes dead letters back: `message.redrive` makes a parked message due again in its old place, `message.discard` ends it, so that
 * its key goes on. Both may come any number of times.
 */
export function createRedriveConsumer(options: RedriveOptions): Consumer<RedriveTables> {
  const { service, targets, window } = options
  const dueWork = new Map(options.dueWork.map((work) => [work.consumer, work]))
  const known: Known = { targets, dueWork }
  return consumer({
    name: redriveConsumerName(service),
    store: redriveRows({ dueWork, window }),
    handlers: [
      on(addressedTo(messageRedriveV1, service), redriveHandler(known)),
      on(addressedTo(messageDiscardV1, service), discardHandler(known)),
    ],
    retry: defaultRetryPolicy,
    afterCommit: (changed) => wake(known, changed),
  })
}

interface Known {
  readonly targets: ReadonlyMap<string, RedriveTarget>
  readonly dueWork: ReadonlyMap<string, DueWork>
}

function wake({ targets, dueWork }: Known, changed: AllChanged<RedriveTables>): void {
  const names = [...changed.letters, ...changed.due].map((row) => row.consumer)
  for (const name of new Set(names)) {
    targets.get(name)?.afterCommit()
    dueWork.get(name)?.afterCommit()
  }
}

/** @throws AppError `permanent` when this service has no such consumer */
function kindOf({ targets, dueWork }: Known, name: string): 'parked' | 'due' {
  if (targets.has(name)) return 'parked'
  if (dueWork.has(name)) return 'due'
  throw new AppError('unknown-consumer', `no consumer named ${name} here`, { retry: 'permanent' })
}

type Redriving = MessageHandler<MessageRedriveV1, RedriveTables>

function redriveHandler(known: Known): Redriving {
  return {
    keys: ({ body }) => {
      const key = letterKey(body)
      if (kindOf(known, body.consumer) === 'due') return { due: [key] }
      return { letters: [key], claims: body.message === null ? [] : [key] }
    },
    decide: ({ body }, rows, now) => {
      const key = letterKey(body)
      const { consumer: name, redriveId } = body
      const due = rows.due.get(key)
      if (due) return { changed: { due: [{ ...due, state: 'retried', redriveId }] } }
      const letter = rows.letters.get(key)
      if (letter?.state === 'parked') return { changed: redriven(letter, body) }
      const target = known.targets.get(name)
      if (target === undefined || body.message === null || rows.claims.get(key) === undefined) {
        return resolved(body, 'already-applied', redriveId)
      }
      return fromLetter(body, rows, { transport: target.transport, now })
    },
  }
}

function redriven(
  letter: LetterRow,
  { redriveId, body }: MessageRedriveV1,
): Changed<RedriveTables> {
  const corrected = body === null ? letter.body : Buffer.from(body)
  const row = letter.made && withBody(letter.made, corrected)
  return { letters: [{ ...letter, redriveId, body: corrected, made: row }] }
}

function withBody(row: NewParked, body: Uint8Array | null): NewParked {
  return body === null ? row : { ...row, incoming: { ...row.incoming, body } }
}

/** Parks a message that its consumer has no more: the broker had dead-lettered it. */
function fromLetter(
  command: MessageRedriveV1,
  rows: Rows<RedriveTables>,
  { transport, now }: { transport: Transport; now: Date },
): Decision<RedriveTables> {
  const claim = rows.claims.get(letterKey(command))
  const { consumer: name, messageId, redriveId } = command
  if (claim?.outcome === 'taken') return resolved(command, 'already-applied', redriveId)
  const incoming = incomingOf(command, transport)
  const base = { consumer: name, messageId, incoming, redriveId, deadLetteredAt: now, delayMs: 0 }
  if (claim?.outcome === 'claimed') {
    const key = subjectOf(incoming)
    return made({ ...base, key, status: 'retrying', attempts: 0 })
  }
  // Nobody knows whether it was applied. A person may still say that it was not, and redrive it once more.
  const message = `the inbox has forgotten ${messageId}: it may have been applied`
  const failure = { code: 'too-old', message, stack: null }
  const reason: DeadLetterReason = 'too-old'
  const failed = { reason, failure, firstFailedAt: now, lastFailedAt: now }
  const letter = deadLetter({ ...base, ...failed, attempts: 0 })
  const dead = made({ ...base, key: undefined, status: 'dead', attempts: 0, failed })
  return { ...dead, messages: [letter] }
}

function made(row: NewParked): Decision<RedriveTables> {
  const { consumer: name, messageId, redriveId = null } = row
  const letter = { consumer: name, messageId, redriveId, body: null, made: row }
  return { changed: { letters: [{ ...letter, state: 'parked' }] } }
}

function incomingOf(command: MessageRedriveV1, transport: Transport): IncomingMessage {
  const { message, messageId, body } = command
  const given = Buffer.from(message?.body ?? '', message?.encoding ?? 'utf8')
  return {
    transport,
    position: `letter@${messageId}`,
    headers: ownHeaders(message?.headers ?? {}),
    body: body === null ? given : Buffer.from(body),
  }
}

// The broker's own (`x-death`) say something of the copy that died.
function ownHeaders(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith('x-')))
}

function discardHandler(known: Known): MessageHandler<MessageDiscardV1, RedriveTables> {
  return {
    keys: ({ body }) => {
      const key = letterKey(body)
      return kindOf(known, body.consumer) === 'due' ? { due: [key] } : { letters: [key] }
    },
    decide: (command: Message<MessageDiscardV1>, rows) => {
      const { body } = command
      const key = letterKey(body)
      const { messages } = resolved(body, 'discarded', null)
      const due = rows.due.get(key)
      if (due) return { changed: { due: [{ ...due, state: 'discarded' }] }, messages }
      const letter = rows.letters.get(key)
      if (letter?.state !== 'parked') return { messages }
      return { changed: { letters: [{ ...letter, state: 'gone' }] }, messages }
    },
  }
}

function resolved(
  { consumer: name, messageId }: LetterId,
  outcome: MessageResolvedV1['outcome'],
  redriveId: string | null,
): { messages: Outgoing[] } {
  const body = { consumer: name, messageId, outcome, redriveId }
  return { messages: [outgoing(messageResolvedV1, messageId, body)] }
}
