import { text as readAll } from 'node:stream/consumers'
import { userInfo } from 'node:os'

/** Where the command line runs: what it reads from and writes to. Tests have one of their own. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The user of the operating system. */
  readonly user: string
  /** Undefined where nobody looks: then nothing is cut off or written over. */
  readonly columns: number | undefined
  /** Whether a person sits there who can be given an editor. */
  readonly interactive: boolean
  /** From the first use of it on Ctrl-C aborts it, and no longer ends the process at once. */
  readonly interrupted: AbortSignal
  out(text: string): void
  err(text: string): void
  /** Everything that comes in on standard input. */
  input(): Promise<string>
}

/** Signals within this time are one: a terminal and what started the process both send it. */
const sameSignalMs = 1000

/** The terminal of this process. */
export function processTerminal(): Terminal {
  let interruption: AbortSignal | undefined
  return {
    env: process.env,
    user: userInfo().username,
    columns: process.stdout.isTTY ? process.stdout.columns : undefined,
    interactive: process.stdin.isTTY && process.stdout.isTTY,
    get interrupted() {
      interruption ??= abortedByInterrupt()
      return interruption
    },
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    input: () => readAll(process.stdin),
  }
}

/** Aborted by the first SIGINT; a later one ends the process, should it hang. */
function abortedByInterrupt(): AbortSignal {
  const interruption = new AbortController()
  let firstMs: number | undefined
  process.on('SIGINT', () => {
    firstMs ??= performance.now()
    interruption.abort()
    if (performance.now() - firstMs > sameSignalMs) process.exit(130)
  })
  return interruption.signal
}
