import type { Context } from './command.ts'
import { commands } from './commands.ts'
import { CommandFailed, WrongUse } from './failures.ts'
import { helpOf } from './help.ts'
import { parseCommandLine, type Request } from './parse.ts'
import { createServiceClient } from './service-client.ts'
import { urlOf } from './services.ts'
import type { Terminal } from './terminal.ts'

/** What the process ends with. */
export type ExitCode = 0 | 1 | 2

/**
 * Runs one command line. What is asked for goes to standard output, with `--json` as one document; what went wrong, and progress, go to
 * standard error, with `--json` a refusal as the problem that the service answered.
 * @returns 0 done, 1 failed, 2 wrong use
 */
export async function run(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const request = parseCommandLine(words, commands)
    if (request.kind === 'help') {
      terminal.out(`${helpOf(request.topic, commands)}\n`)
      return 0
    }
    return await runCommand(request, terminal)
  } catch (error) {
    if (!(error instanceof WrongUse)) throw error
    const help = `pnpm edp ${error.command} --help`.replaceAll(/ +/g, ' ')
    terminal.err(`edp: ${error.message}\n\`${help}\` says more.\n`)
    return 2
  }
}

async function runCommand(
  request: Extract<Request, { kind: 'run' }>,
  terminal: Terminal,
): Promise<ExitCode> {
  const { json, url } = request
  const context: Context = {
    terminal,
    tell: (line) => {
      if (!json) terminal.out(`${line}\n`)
    },
    client: (service) => createServiceClient(service, url ?? urlOf(service, terminal.env)),
  }
  try {
    const { document, text, failed = false } = await request.run(context)
    terminal.out(`${json ? JSON.stringify(document, null, 2) : text}\n`)
    return failed ? 1 : 0
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error
    const { message, problem } = error
    terminal.err(json ? `${JSON.stringify(problem ?? { detail: message })}\n` : `edp: ${message}\n`)
    return 1
  }
}
