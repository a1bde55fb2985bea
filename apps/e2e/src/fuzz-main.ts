import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { runFuzz } from './fuzz/fuzz.ts'
import { prepareRun } from './servers.ts'
import { startSystem } from './system.ts'

const usage = `Usage: pnpm fuzz [--messages N] [--seed S]

Starts every service as a process of its own and sends what nobody means to its HTTP routes: random bytes, random JSON, and requests that
are right but for one thing; N of them (default 2000). Then every process must run and be well, no answer may be a server error,
and the books must balance.

  --messages N  how many requests
  --seed S      what they are; printed, so that a run can be repeated

Exit code 0 when all of it holds, 1 when not, 2 for a wrong argument.`

async function main(): Promise<number> {
  const options = readArguments()
  if (!options) return 2
  if (options.help) {
    console.log(usage)
    return 0
  }
  const { messages, seed } = options
  console.log(`seed ${seed}: repeat with \`pnpm fuzz --messages ${messages} --seed ${seed}\``)
  await prepareRun()
  const system = await startSystem(`fuzz-${process.pid}`)
  process.once('SIGINT', () => void system.stop().finally(() => process.exit(130)))
  try {
    const tell = (line: string): void => console.log(line)
    const problems = await runFuzz(system, { messages, seed, tell })
    for (const problem of problems) console.log(`\nWRONG: ${problem}`)
    if (problems.length === 0) console.log('Everything was answered, and the books balance.')
    return problems.length === 0 ? 0 : 1
  } finally {
    await system.stop()
    console.log(`The logs of the services are in ${system.logDirectory}`)
  }
}

interface Arguments {
  help: boolean
  messages: number
  seed: number
}

function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        messages: { type: 'string', default: '2000' },
        seed: { type: 'string' },
      },
    })
    return {
      help: values.help,
      messages: wholeNumber('--messages', values.messages),
      seed: values.seed === undefined ? randomInt(1, 2 ** 31) : wholeNumber('--seed', values.seed),
    }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return undefined
  }
}

function wholeNumber(option: string, given: string): number {
  if (!/^[1-9]\d{0,9}$/.test(given)) throw new Error(`${option} expects a number, given ${given}`)
  return Number(given)
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
