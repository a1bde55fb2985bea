import {
  addressedTo,
  messageRedriveV1,
  type Origin,
  type Outgoing,
  outgoing,
} from '@edp/event-schemas'
import { enqueue } from '@edp/outbox'
import {
  counter,
  createLoop,
  type Database,
  faultPoint,
  type Logger,
  type Loop,
  sleep,
  type Tx,
} from '@edp/runtime'
import { record } from './db/audit.ts'
import { lockLetters } from './db/letters.ts'
import {
  beginRedriveLetters,
  type Enclosed,
  pendingLetters,
  readEnclosed,
} from './db/redrive-letters.ts'
import { countLetters, lockDueRedrive, saveRedrive } from './db/redrives.ts'
import { serviceOf, takesLettersBack } from './domain/consumer-names.ts'
import type { Letter } from './domain/letter.ts'
import { nextStep, type NextStep, type Redrive } from './domain/redrive.ts'
import { saveLetters } from './save-letters.ts'
import { serviceName } from './service-name.ts'

/** What `createRedriveLoop` needs. */
export interface RedriveOptions {
  readonly database: Pick<Database, 'transaction'>
  readonly namespace: string
  readonly logger: Logger
  readonly now?: () => Date
}

/** How often an idle process looks for a redrive that another one began. */
const intervalMs = 1000
/** How often one looks that had something to send within the last seconds. */
const busyIntervalMs = 100
const busyForMs = 3000
/** How much of a second's letters is sent at once. */
const sendsPerSecond = 5
const lettersMax = 200
/** How soon a redrive that waits for what it sent is looked at again. */
const waitMs = 250

const sent = counter('edp_letters_redriven_total', 'Letters that were sent back', ['consumer'])

/**
 * Sends the letters of running redrives back, at their rates, the canary first. A step is one transaction: a letter is marked as sent
 * and its command is in the outbox, or neither; so a process that dies in the middle neither forgets a letter nor sends it
 * twice. Poke it when a redrive begins or a letter of one has ended.
 */
export function createRedriveLoop(options: RedriveOptions): Loop {
  let steppedAt = Number.NEGATIVE_INFINITY
  return createLoop({
    name: 'redrives',
    intervalMs,
    logger: options.logger,
    work: async (signal) => {
      while (!signal.aborted) {
        if (await sendNext(options)) steppedAt = performance.now()
        else if (performance.now() - steppedAt > busyForMs) return
        else await sleep(busyIntervalMs, signal).catch(() => undefined)
      }
    },
  })
}

/** One step of one redrive that is due. False: none is. */
async function sendNext(options: RedriveOptions): Promise<boolean> {
  const consumers = await options.database.transaction(async (tx) => {
    const redrive = await lockDueRedrive(tx)
    if (!redrive) return undefined
    const limit = Math.min(lettersMax, Math.ceil(redrive.ratePerSecond / sendsPerSecond))
    const step = nextStep(redrive, await countLetters(tx, redrive), limit)
    return await take(tx, { ...options, redrive }, step)
  })
  if (consumers === undefined) return false
  for (const consumer of consumers) sent.inc({ consumer })
  await faultPoint('redrive.after-commit')
  return true
}

/** Gives the consumers to which letters were sent, one for each letter. */
async function take(
  tx: Tx,
  options: RedriveOptions & { redrive: Redrive },
  step: NextStep,
): Promise<string[]> {
  const redrive = { ...options.redrive, canaryState: step.canaryState }
  switch (step.kind) {
    case 'send': {
      const letters = await send(tx, options, step.limit)
      saveRedrive(tx, redrive, (letters.length * 1000) / redrive.ratePerSecond)
      return letters.map(({ consumer }) => consumer)
    }
    case 'wait':
      saveRedrive(tx, redrive, waitMs)
      return []
    case 'pause':
    case 'end':
      end(tx, redrive, step.kind)
      return []
  }
}

function end(tx: Tx, redrive: Redrive, kind: 'pause' | 'end'): void {
  const state = kind === 'pause' ? 'paused' : 'done'
  saveRedrive(tx, { ...redrive, state }, 0)
  record(tx, [
    {
      by: serviceName,
      action: `redrive.${state}`,
      redriveId: redrive.redriveId,
      after: { canaryState: redrive.canaryState },
    },
  ])
}

/** Sends the next letters that are still open; of the others somebody has taken care meanwhile. */
async function send(
  tx: Tx,
  { redrive, namespace, now = () => new Date() }: RedriveOptions & { redrive: Redrive },
  limit: number,
): Promise<Letter[]> {
  const { redriveId, by } = redrive
  const ids = await pendingLetters(tx, redriveId, limit)
  const locked = await lockLetters(tx, ids)
  const letters = locked.filter(isSendable)
  const enclosed = await readEnclosed(
    tx,
    letters.map(({ letterId }) => letterId),
  )
  const sendable = new Set(letters.map(({ letterId }) => letterId))
  beginRedriveLetters(
    tx,
    redriveId,
    ids.map((letterId) => ({ letterId, state: sendable.has(letterId) ? 'sent' : 'skipped' })),
  )
  await saveLetters(
    tx,
    letters.map((before) => ({
      before,
      after: { ...before, state: { status: 'redriving', redriveId } },
    })),
  )
  for (const letter of letters) {
    const origin = originOf(letter, { namespace, now: now() })
    enqueue(tx, [commandFor(letter, redrive, enclosed.get(letter.letterId))], origin)
  }
  record(
    tx,
    letters.map(({ letterId }) => ({ by, action: 'letter.redriven', letterId, redriveId })),
  )
  await faultPoint('redrive.before-commit')
  return letters
}

function isSendable({ state, consumer }: Letter): boolean {
  return state.status === 'open' && takesLettersBack(consumer)
}

function commandFor(
  { consumer, messageId }: Letter,
  { redriveId, by }: Redrive,
  enclosed: Enclosed | undefined,
): Outgoing {
  return outgoing(addressedTo(messageRedriveV1, serviceOf(consumer)), messageId, {
    consumer,
    messageId,
    redriveId,
    by,
    body: enclosed?.correctedBody ?? null,
    message: enclosed?.message ? ofTheMessage(enclosed.message) : null,
  })
}

/** Without what the broker said of the copy that died: it is sent as if it came for the first time. */
function ofTheMessage(message: NonNullable<Enclosed['message']>) {
  const headers = Object.fromEntries(
    Object.entries(message.headers).filter(([name]) => !name.startsWith('x-')),
  )
  return { ...message, headers }
}

/** Who says what is said of a letter, and in which style of saga: that of the dead message. */
export function originOf(
  { subject: { coordination, traceparent } }: Letter,
  { namespace, now }: { namespace: string; now: Date },
): Origin {
  return {
    source: serviceName,
    namespace,
    now,
    coordination,
    // Of a message that could not be read it is anything.
    ...(traceparent !== null && traceparent !== '' && { traceparent }),
  }
}
