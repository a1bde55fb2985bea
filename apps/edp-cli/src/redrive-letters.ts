import { z } from 'zod'
import { command, type Context, type Output } from './command.ts'
import { WrongUse } from './failures.ts'
import { letterView, lettersTable, selectedBy } from './letters.ts'
import { count, flag, onRecord, texts } from './options.ts'
import { followRedrive } from './redrives.ts'

const name = 'letters redrive'
const preview = z.looseObject({
  selected: z.int(),
  notTakenBack: z.int(),
  sample: z.array(letterView),
})
const started = z.looseObject({ redriveId: z.string() })

/** Sends letters back to the consumers that failed. */
export const redriveLetters = command({
  name,
  summary: 'sends letters back to the consumer that failed, and shows how that goes',
  details:
    'Names letters, or selects open ones by options; more than one option narrows them down. Ctrl-C ends the showing, not the redrive.',
  args: { letters: texts('LETTER', 'the ids of the letters') },
  options: {
    ...selectedBy,
    all: flag('every open letter'),
    'dry-run': flag('says which letters it would be, and sends nothing'),
    canary: count('N', 'sends the first N alone, and the others only when these are resolved'),
    rate: count('N', 'how many a second at most'),
    detach: flag('does not wait until it has ended'),
    ...onRecord,
  },
  run: async (context, { letters }, options) => {
    const { by = context.terminal.user, why, canary, rate } = options
    const body = {
      selection: selectionOf(letters, options),
      ...(canary !== undefined && { canary }),
      ...(rate !== undefined && { ratePerSecond: rate }),
      by,
      why,
    }
    if (options['dry-run']) return await dryRun(context, body)
    const answer = await context
      .client('dlq-alerter')
      .request(started, 'POST', '/redrives', { body })
    const { redriveId } = answer.body
    if (options.detach) return { document: answer.document, text: `redrive ${redriveId}` }
    context.terminal.err(`redrive ${redriveId}\n`)
    return await followRedrive(context, redriveId)
  },
})

interface Selected {
  readonly consumer?: string | undefined
  readonly type?: string | undefined
  readonly reason?: string | undefined
  readonly group?: string | undefined
  readonly all: boolean
}

/** Never everything by mistake: who names nothing has to say `--all`. */
function selectionOf(letters: readonly string[], { all, ...options }: Selected) {
  const { consumer, type, reason, group } = options
  const narrowed = Object.entries({ consumer, type, reason, group }).filter(
    ([, value]) => value !== undefined,
  )
  const ways = [letters.length > 0, narrowed.length > 0, all].filter(Boolean).length
  if (ways !== 1) {
    throw new WrongUse(
      'expected either letters, or options that select them (--group, --consumer, --type, --reason), or --all',
      name,
    )
  }
  if (all) return { all }
  return letters.length > 0 ? { letters } : Object.fromEntries(narrowed)
}

async function dryRun({ client, terminal }: Context, body: object): Promise<Output> {
  const answer = await client('dlq-alerter').request(preview, 'POST', '/redrives', {
    body: { ...body, dryRun: true },
  })
  const { selected, notTakenBack, sample } = answer.body
  return {
    document: answer.document,
    text: [
      ...(selected === 0 ? [] : [lettersTable(sample, terminal.columns)]),
      ...(notTakenBack === 0 ? [] : [`${notTakenBack} are of consumers that take none back`]),
      `${selected} letters would be sent; nothing was`,
    ].join('\n'),
  }
}
