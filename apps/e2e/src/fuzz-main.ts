import { parseArgs } from 'node:util'
import { runFuzz } from './fuzz/fuzz.ts'
import { prepareRun } from './servers.ts'
import { startSystem, type System } from './system.ts'
import { seedFrom, wholeNumber } from './whole-number.ts'
import { withSystem } from './with-system.ts'

const usage = `Usage: pnpm fuzz [--requests N] [--messages N] [--seed S]

Starts every service as a process of its own and sends what nobody means to its HTTP routes and into every topic and queue that it reads:
random bytes, random JSON, and what is right but for one thing. No answer may be a server error; each message must be found again as a dead
letter, parked, applied or a duplicate; then every process must run and be well, a good order must end, and the books must balance.

  --requests N  how many HTTP requests (default 2000)
  --messages N  how many messages (default 2000)
  --seed S      what they are; printed, so that a run can be repeated

Exit code 0 when all of it holds, 1 when not, 2 for a wrong argument.`

async function main(): Promise<number> {
  const options = readArguments()
  if (!options) return 2
  if (options.help) {
    console.log(usage)
    return 0
  }
  const { requests, messages, seed } = options
  const command = `pnpm fuzz --requests ${requests} --messages ${messages} --seed ${seed}`
  console.log(`seed ${seed}: repeat with \`${command}\``)
  await prepareRun()
  const start = (): Promise<System> => startSystem(`fuzz-${process.pid}`)
  return await withSystem(start, async (system) => {
    const tell = (line: string): void => console.log(line)
    const problems = await runFuzz(system, { requests, messages, seed, tell })
    for (const problem of problems) console.log(`\nWRONG: ${problem}`)
    if (problems.length === 0)
      console.log('Everything was answered, nothing vanished, and the books balance.')
    console.log(`The logs of the services are in ${system.logDirectory}`)
    return problems.length === 0 ? 0 : 1
  })
}

interface Arguments {
  help: boolean
  requests: number
  messages: number
  seed: number
}

function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        requests: { type: 'string', default: '2000' },
        messages: { type: 'string', default: '2000' },
        seed: { type: 'string' },
      },
    })
    return {
      help: values.help,
      requests: wholeNumber('--requests', values.requests),
      messages: wholeNumber('--messages', values.messages),
      seed: seedFrom(values.seed),
    }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return undefined
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
