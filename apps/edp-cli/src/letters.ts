import { z } from 'zod'
import { command, type Context, type Output } from './command.ts'
import { choice, onRecord, paging, requiredText, requiredTexts, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatSection, formatTable } from './table.ts'

/** What is read of a dead letter. */
export const letterView = z.looseObject({
  letterId: z.string(),
  consumer: z.string(),
  messageId: z.string(),
  source: z.string(),
  position: z.string(),
  type: z.string().nullable(),
  key: z.string().nullable(),
  reason: z.string(),
  error: z.looseObject({ code: z.string(), message: z.string() }),
  attempts: z.int(),
  firstFailedAt: z.string(),
  lastFailedAt: z.string(),
  groupId: z.string(),
  status: z.string(),
  outcome: z.string().nullable(),
  waitingBehind: z.int(),
})
type LetterView = z.infer<typeof letterView>

const lettersPage = z.looseObject({
  letters: z.array(letterView),
  nextCursor: z.string().nullable(),
})

const noted = z.looseObject({ at: z.string(), by: z.string(), text: z.string() })
const auditEntry = z.looseObject({
  at: z.string(),
  by: z.string(),
  action: z.string(),
  why: z.string().nullish(),
})
const letterDetail = letterView.extend({
  correlationId: z.string().nullable(),
  causationId: z.string().nullable(),
  error: z.looseObject({ code: z.string(), message: z.string(), stack: z.string().nullish() }),
  content: z.looseObject({
    headers: z.record(z.string(), z.string()),
    body: z.string(),
    encoding: z.string(),
    bytes: z.int(),
  }),
  correctedBody: z.string().nullable(),
  notes: z.array(noted),
  history: z.array(auditEntry),
})
/** A dead letter with everything that is known of it. */
export type LetterDetail = z.infer<typeof letterDetail>

/** What narrows letters down, as options; the same for a list and for a redrive. */
export const selectedBy = {
  consumer: text('NAME', 'of this consumer, such as inventory-service.kafka'),
  type: text('TYPE', 'of this type, such as order.placed.v1'),
  reason: text('REASON', 'with this reason: poison, attempts-exhausted, ...'),
  group: text('GROUP', 'of this group'),
} as const
export const letterStatuses = ['open', 'redriving', 'resolved', 'archived'] as const

const list = command({
  name: 'letters list',
  summary: 'dead letters, the newest first',
  options: {
    status: choice(letterStatuses, 'only those'),
    ...selectedBy,
    key: text('KEY', 'of this key: the order id'),
    search: text('TEXT', 'whose error, type, key or body has this text'),
    ...paging,
  },
  run: async ({ client, terminal }, _, { search, ...query }) => {
    const { body, document } = await client('dlq-alerter').request(lettersPage, 'GET', '/letters', {
      query: { ...query, q: search },
    })
    return {
      document,
      text: withNext(lettersTable(body.letters, terminal.columns), body.nextCursor),
    }
  },
})

const show = command({
  name: 'letters show',
  summary: 'one dead letter: its content, its error, notes, what was done with it',
  args: { letter: requiredText('LETTER', 'the id of the letter') },
  run: async (context, { letter }) => {
    const { body, document } = await readLetter(context, letter)
    return { document, text: describeLetter(body) }
  },
})

const archive = command({
  name: 'letters archive',
  summary: 'gives letters up: the consumer goes on without the message',
  details:
    'What waits behind the message goes on at once. `pnpm edp letters restore` undoes it until the consumer has done it.',
  args: { letters: requiredTexts('LETTER', 'the ids of the letters') },
  options: onRecord,
  run: (context, { letters }, record) => forEach(context, letters, 'archive', record),
})

const restore = command({
  name: 'letters restore',
  summary: 'takes archiving back, while the consumer has not discarded the message yet',
  args: { letters: requiredTexts('LETTER', 'the ids of the letters') },
  options: onRecord,
  run: (context, { letters }, record) => forEach(context, letters, 'restore', record),
})

const note = command({
  name: 'letters note',
  summary: 'adds a note to a letter, for whoever looks at it next',
  args: {
    letter: requiredText('LETTER', 'the id of the letter'),
    text: requiredText('TEXT', 'what to note'),
  },
  options: { by: onRecord.by },
  run: async ({ client, terminal }, { letter, text: said }, { by = terminal.user }) => {
    const { document } = await client('dlq-alerter').request(
      z.unknown(),
      'POST',
      pathOf`/letters/${letter}/notes`,
      { body: { by, text: said } },
    )
    return { document, text: `noted on ${letter}` }
  },
})

/** Commands of dead letters, but for those that have a file of their own. */
export const letterCommands = [list, show, archive, restore, note]

/** One letter, whole. */
export function readLetter({ client }: Context, letterId: string) {
  return client('dlq-alerter').request(letterDetail, 'GET', pathOf`/letters/${letterId}`)
}

/** The letters of a list. */
export function lettersTable(letters: readonly LetterView[], width: number | undefined): string {
  if (letters.length === 0) return 'no letters'
  return formatTable(
    letters,
    [
      ['LETTER', (letter) => letter.letterId],
      ['STATUS', statusOf],
      ['AGE', (letter) => age(letter.firstFailedAt)],
      ['CONSUMER', (letter) => letter.consumer],
      ['TYPE', (letter) => letter.type],
      ['KEY', (letter) => letter.key],
      ['REASON', (letter) => letter.reason],
      ['WAITING', (letter) => letter.waitingBehind],
      ['ERROR', (letter) => `${letter.error.code}: ${letter.error.message}`],
    ],
    width,
  )
}

/** With what the consumer said of it in the end. */
function statusOf({ status, outcome }: LetterView): string {
  return outcome === null ? status : `${status}, ${outcome}`
}

/** A list, with how to go on where there is more. */
export function withNext(table: string, nextCursor: string | null): string {
  return nextCursor === null ? table : `${table}\nmore: --cursor ${nextCursor}`
}

/** One after the other, so that what was done is known when one is refused. */
async function forEach(
  { client, terminal, tell }: Context,
  letters: readonly string[],
  verb: 'archive' | 'restore',
  { by = terminal.user, why }: { readonly by?: string | undefined; readonly why: string },
): Promise<Output> {
  const done: unknown[] = []
  for (const letter of letters) {
    const { document } = await client('dlq-alerter').request(
      z.unknown(),
      'POST',
      pathOf`/letters/${letter}/${verb}`,
      { body: { by, why } },
    )
    done.push(document)
    tell(`${letter} ${verb}d`)
  }
  return { document: done, text: `${done.length} of ${letters.length} ${verb}d` }
}

function describeLetter(letter: LetterDetail): string {
  const { error, content, correctedBody, notes, history } = letter
  return (
    formatFields([
      ['letter', letter.letterId],
      ['status', statusOf(letter)],
      ['consumer', letter.consumer],
      ['message', letter.messageId],
      ['type', letter.type],
      ['key', letter.key],
      ['from', `${letter.source} ${letter.position}`],
      ['reason', letter.reason],
      ['error', `${error.code}: ${error.message}`],
      ['attempts', letter.attempts],
      ['failed', `${letter.firstFailedAt} to ${letter.lastFailedAt}`],
      ['waiting behind', letter.waitingBehind],
      ['caused by', letter.causationId],
      ['correlation', letter.correlationId],
      ['group', letter.groupId],
    ]) +
    formatSection('stack', error.stack ?? '') +
    formatSection('headers', formatFields(Object.entries(content.headers))) +
    formatSection(`body (${content.encoding}, ${content.bytes} bytes)`, pretty(content.body)) +
    formatSection('corrected body', correctedBody === null ? '' : pretty(correctedBody)) +
    formatSection(
      'notes',
      notes.map(({ at, by, text: said }) => `${at}  ${by}: ${said}`).join('\n'),
    ) +
    formatSection('history', historyTable(history))
  )
}

/** What was done, by whom, and why. */
function historyTable(history: readonly z.infer<typeof auditEntry>[]): string {
  if (history.length === 0) return ''
  return formatTable(history, [
    ['AT', (entry) => entry.at],
    ['BY', (entry) => entry.by],
    ['ACTION', (entry) => entry.action],
    ['WHY', (entry) => entry.why ?? null],
  ])
}

/** JSON with line breaks; what is no JSON as it is. */
export function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2)
  } catch {
    return body
  }
}
