import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { command, type Context, type Output } from './command.ts'
import { withNext } from './letters.ts'
import { flag, onRecord, paging, requiredText } from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatTable } from './table.ts'

const redriveView = z.looseObject({
  redriveId: z.string(),
  state: z.enum(['running', 'paused', 'done', 'cancelled']),
  progress: z.looseObject({
    selected: z.int(),
    pending: z.int(),
    sent: z.int(),
    resolved: z.int(),
    failed: z.int(),
    skipped: z.int(),
  }),
  by: z.string(),
  why: z.string(),
  createdAt: z.string(),
})
export type RedriveView = z.infer<typeof redriveView>

const redrivesPage = z.looseObject({
  redrives: z.array(redriveView),
  nextCursor: z.string().nullable(),
})

const pollIntervalMs = 300
const operation = { redrive: requiredText('REDRIVE', 'the id of the redrive') }

const list = command({
  name: 'redrives list',
  summary: 'redrives, the newest first',
  options: paging,
  run: async ({ client, terminal }, _, query) => {
    const { body, document } = await client('dlq-alerter').request(
      redrivesPage,
      'GET',
      '/redrives',
      { query },
    )
    const table = formatTable(
      body.redrives,
      [
        ['REDRIVE', (redrive) => redrive.redriveId],
        ['STATE', (redrive) => redrive.state],
        ['AGE', (redrive) => age(redrive.createdAt)],
        ['OF', (redrive) => redrive.progress.selected],
        ['SENT', (redrive) => redrive.progress.sent],
        ['RESOLVED', (redrive) => redrive.progress.resolved],
        ['FAILED', (redrive) => redrive.progress.failed],
        ['BY', (redrive) => redrive.by],
        ['WHY', (redrive) => redrive.why],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.redrives.length === 0 ? 'no redrives' : withNext(table, body.nextCursor),
    }
  },
})

const show = command({
  name: 'redrives show',
  summary: 'one redrive and how far it is',
  args: operation,
  options: { follow: flag('goes on showing it until it has ended; 1 when letters failed again') },
  run: async (context, { redrive }, { follow }) => {
    if (follow) return await followRedrive(context, redrive)
    const { body, document } = await readRedrive(context, redrive)
    return { document, text: describeRedrive(body) }
  },
})

const cancel = command({
  name: 'redrives cancel',
  summary: 'sends no more of a redrive; what was sent goes its way',
  args: operation,
  options: { by: onRecord.by },
  run: async (context, { redrive }, { by }) => {
    const { body, document } = await post(context, pathOf`/redrives/${redrive}/cancel`, by)
    return { document, text: describeRedrive(body) }
  },
})

const resume = command({
  name: 'redrives resume',
  summary: 'goes on with a redrive that paused after its first letters failed again',
  args: operation,
  options: { by: onRecord.by, follow: flag('shows it until it has ended') },
  run: async (context, { redrive }, { by, follow }) => {
    const { body, document } = await post(context, pathOf`/redrives/${redrive}/resume`, by)
    if (follow) return await followRedrive(context, redrive)
    return { document, text: describeRedrive(body) }
  },
})

/** Commands of redrives that exist. `letters redrive` makes one. */
export const redriveCommands = [list, show, cancel, resume]

function readRedrive({ client }: Context, redriveId: string) {
  return client('dlq-alerter').request(redriveView, 'GET', pathOf`/redrives/${redriveId}`)
}

function post({ client, terminal }: Context, path: string, by: string = terminal.user) {
  return client('dlq-alerter').request(redriveView, 'POST', path, { body: { by } })
}

/**
 * Shows the progress of a redrive until it is done, cancelled or paused. Ctrl-C ends the showing, not the redrive.
 * @throws CommandFailed when the alerter does not answer
 */
export async function followRedrive(context: Context, redriveId: string): Promise<Output> {
  const { terminal } = context
  const { interrupted } = terminal
  const overwrites = terminal.columns !== undefined
  let shown = ''
  for (;;) {
    const { body, document } = await readRedrive(context, redriveId)
    const line = progressOf(body)
    if (line !== shown) terminal.err(overwrites ? `\r\u001B[K${line}` : `${line}\n`)
    shown = line
    const ended = body.state !== 'running'
    if (overwrites && (ended || interrupted.aborted)) terminal.err('\n')
    if (ended) {
      const failed = body.progress.failed > 0 || body.state === 'paused'
      return { document, text: describeEnd(body), failed }
    }
    if (interrupted.aborted) return { document, text: describeLeft(redriveId) }
    await sleep(pollIntervalMs, undefined, { signal: interrupted }).catch(() => undefined)
  }
}

function progressOf({ state, progress }: RedriveView): string {
  const { sent, resolved, failed, selected } = progress
  return `${state}: sent ${sent}, resolved ${resolved}, failed ${failed} of ${selected}`
}

function describeEnd({ redriveId, state, progress }: RedriveView): string {
  const { failed, resolved, selected } = progress
  switch (state) {
    case 'running':
    case 'done':
      return failed === 0
        ? `done: ${resolved} of ${selected} resolved`
        : `done: ${resolved} of ${selected} resolved, ${failed} failed again and are open: \`pnpm edp letters list --status open\``
    case 'cancelled':
      return `cancelled: ${resolved} of ${selected} resolved`
    case 'paused':
      return (
        'paused: of the first letters one failed again, and the others were not sent.\n' +
        `\`pnpm edp redrives resume ${redriveId}\` sends them, \`pnpm edp redrives cancel ${redriveId}\` does not.`
      )
  }
}

function describeLeft(redriveId: string): string {
  return (
    `The redrive goes on. \`pnpm edp redrives show ${redriveId} --follow\` follows it, ` +
    `\`pnpm edp redrives cancel ${redriveId}\` ends it.`
  )
}

/** A redrive, for people. */
export function describeRedrive(redrive: RedriveView): string {
  return formatFields([
    ['redrive', redrive.redriveId],
    ['state', redrive.state],
    ['letters', redrive.progress.selected],
    ['sent', redrive.progress.sent],
    ['resolved', redrive.progress.resolved],
    ['failed', redrive.progress.failed],
    ['pending', redrive.progress.pending],
    ['no longer open', redrive.progress.skipped],
    ['asked by', redrive.by],
    ['why', redrive.why],
    ['since', redrive.createdAt],
  ])
}
