import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { command, type Context, type Output } from './command.ts'
import { CommandFailed, WrongUse } from './failures.ts'
import { pretty, readLetter } from './letters.ts'
import { flag, onRecord, requiredText, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { printable } from './table.ts'
import type { Terminal } from './terminal.ts'

const name = 'letters edit'

const edited = z.looseObject({
  diff: z.array(
    z.looseObject({
      path: z.string(),
      before: z.unknown().optional(),
      after: z.unknown().optional(),
    }),
  ),
})

/** Corrects the body of a letter: by editor, from a file, from standard input. */
export const editLetter = command({
  name,
  summary: 'corrects the body of a letter, for its next redrive',
  details:
    'Opens $EDITOR, unless --file or --body says what the body is. It is checked against the schema of its type, and may change neither key nor order.',
  args: { letter: requiredText('LETTER', 'the id of the letter') },
  options: {
    file: text('FILE', 'the body is in this file; - is standard input'),
    body: text('JSON', 'the body itself'),
    undo: flag('forgets the correction: the body is the one that failed'),
    ...onRecord,
  },
  run: async (context, { letter }, { undo, ...options }) => {
    const { by = context.terminal.user, why } = options
    if (undo) return await undoEdit(context, letter, { by, why })
    const body = await newBody(context, letter, options)
    if (body === undefined) return { document: null, text: 'nothing was changed' }
    const answer = await context
      .client('dlq-alerter')
      .request(edited, 'PUT', pathOf`/letters/${letter}/body`, { body: { body, by, why } })
    const changes = answer.body.diff.map(describeChange)
    return {
      document: answer.document,
      text: [...changes, `\`pnpm edp letters redrive ${letter}\` sends it.`].join('\n'),
    }
  },
})

async function undoEdit(
  { client }: Context,
  letter: string,
  record: { readonly by: string; readonly why: string },
): Promise<Output> {
  const { document } = await client('dlq-alerter').request(
    z.unknown(),
    'DELETE',
    pathOf`/letters/${letter}/body`,
    { body: record },
  )
  return { document: document ?? null, text: `${letter} has the body that failed` }
}

/** What the body becomes; undefined when somebody closed the editor without a change. */
async function newBody(
  context: Context,
  letter: string,
  { file, body }: { readonly file?: string | undefined; readonly body?: string | undefined },
): Promise<string | undefined> {
  if (file !== undefined && body !== undefined) {
    throw new WrongUse('expected --file or --body, not both', name)
  }
  if (body !== undefined) return body
  if (file !== undefined) return await readText(file, context.terminal)
  if (!context.terminal.interactive) {
    throw new WrongUse('expected --file or --body where no editor can be opened', name)
  }
  const { content, correctedBody } = (await readLetter(context, letter)).body
  if (content.encoding !== 'utf8') {
    throw new CommandFailed('The body is not text: --file or --body has to say what it should be.')
  }
  if (Buffer.byteLength(content.body) < content.bytes) {
    throw new CommandFailed('The body is too large: the letter has only its beginning.')
  }
  return await fromEditor(pretty(correctedBody ?? content.body), context.terminal)
}

/**
 * What a file holds; `-` is standard input.
 * @throws CommandFailed when it cannot be read
 */
export async function readText(file: string, terminal: Pick<Terminal, 'input'>): Promise<string> {
  if (file === '-') return await terminal.input()
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new CommandFailed(`--file ${file} cannot be read: ${why}`)
  }
}

async function fromEditor(before: string, { env }: Terminal): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'edp-'))
  const file = join(folder, 'body.json')
  try {
    await writeFile(file, before)
    // By a shell: an editor may have arguments, `code --wait`.
    const editor = env['VISUAL'] ?? env['EDITOR'] ?? 'vi'
    const child = spawn(`${editor} ${file}`, { shell: true, stdio: 'inherit' })
    await once(child, 'close')
    if (child.exitCode !== 0) throw new CommandFailed(`${editor} failed; nothing was changed`)
    const after = await readFile(file, 'utf8')
    return after.trim() === before.trim() ? undefined : after
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function describeChange(change: z.infer<typeof edited>['diff'][number]): string {
  const shown = (value: unknown): string =>
    value === undefined ? 'nothing' : printable(JSON.stringify(value))
  return `${change.path}: ${shown(change.before)} -> ${shown(change.after)}`
}
