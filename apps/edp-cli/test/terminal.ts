import { run, type ExitCode } from '../src/run.ts'
import type { Terminal } from '../src/terminal.ts'

/** What became of a command line. */
export interface Ran {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

/** What a test gives a command line beside its words. */
export interface Surroundings {
  env?: Record<string, string>
  input?: string
  columns?: number
  interrupted?: AbortSignal
}

/** Runs a command line in this process, as the user `ada`. */
export async function edp(words: readonly string[], given: Surroundings = {}): Promise<Ran> {
  const out: string[] = []
  const err: string[] = []
  const terminal: Terminal = {
    env: given.env ?? {},
    user: 'ada',
    columns: given.columns,
    interactive: false,
    interrupted: given.interrupted ?? new AbortController().signal,
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    input: async () => given.input ?? '',
  }
  const code = await run(words, terminal)
  return { code, out: out.join(''), err: err.join('') }
}
