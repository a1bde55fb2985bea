import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { commands } from './commands.ts'
import { parseCommandLine } from './parse.ts'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
const folder = join(root, 'infra/runbooks')
const files = readdirSync(folder).filter((name) => name.endsWith('.md'))
const documents = [...files.map((name) => join(folder, name)), join(root, 'apps/edp-cli/README.md')]

/** Everything that a document tells somebody to type, a line or a piece of code in a sentence. */
function commandLines(document: string): string[] {
  const text = readFileSync(document, 'utf8')
  return [...text.matchAll(/pnpm edp ([^`\n]+)/g)].map(([, words = '']) => words.trim())
}

/** Words as a shell makes them; nothing is put in for `$LETTER`. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
}

/** A command of which a sentence only gives the name. */
const isName = (line: string): boolean => commands.some(({ name }) => name === line)

describe.each(documents)('%s', (document) => {
  const lines = commandLines(document)

  it.each(lines)('`pnpm edp %s` is a command with these arguments and options', (line) => {
    if (isName(line)) return
    expect(() => parseCommandLine(shellWords(line), commands)).not.toThrow()
  })

  it('links to files that exist', () => {
    const targets = [...readFileSync(document, 'utf8').matchAll(/\]\(([^)#]+)\)/g)]
    for (const [, target = ''] of targets) {
      const path = resolve(dirname(document), target)
      expect(readdirSync(dirname(path))).toContain(path.slice(dirname(path).length + 1))
    }
  })
})

it('each runbook says what it means, how to look, decide and mend, and when it is over', () => {
  for (const name of files.filter((file) => file !== 'README.md')) {
    const text = readFileSync(join(folder, name), 'utf8')
    const parts = [...text.matchAll(/^(?:## (.+)|\*\*(.+?)\.\*\*)/gm)]
    expect(parts.map(([, heading, meaning]) => heading ?? meaning)).toEqual([
      'What it means',
      'Look',
      'Decide',
      'Mend',
      'Over when',
    ])
  }
})
