import { parseArgs, styleText } from 'node:util'
import { createApi } from './api.ts'
import { formatBooks, settleBooks } from './books.ts'
import { type Scenario, type ScenarioContext, scenarios } from './scenarios.ts'
import { startSystem, type System, serviceUrls } from './system.ts'

const usage = `Usage: pnpm demo [SCENARIO...]

Starts every service as a process of its own, on databases and topics of its own, places orders and prints each order's
timeline as it happens, and then the books. Exit code 0 only when every story ended as it must and the books balance.

Scenarios:
${scenarios.map((scenario) => `  ${scenario.name.padEnd(16)} ${scenario.title}`).join('\n')}`

async function main(): Promise<number> {
  const chosen = chooseScenarios()
  if (typeof chosen === 'number') return chosen
  console.log('Starting the services ...')
  const system = await startSystem(`demo-${process.pid}`)
  process.once('SIGINT', () => void system.stop().finally(() => process.exit(130)))
  let code: number
  try {
    code = await tellStories(system, chosen)
  } finally {
    await system.stop()
  }
  console.log(`The logs of the services are in ${system.logDirectory}`)
  return code
}

async function tellStories(system: System, chosen: readonly Scenario[]): Promise<number> {
  const context: ScenarioContext = {
    api: createApi(serviceUrls(system)),
    tell: (line) => {
      console.log(`   ${line}`)
    },
  }
  const failed: string[] = []
  for (const [index, scenario] of chosen.entries()) {
    console.log(`\n${styleText('bold', `${index + 1}. ${scenario.title}`)}`)
    try {
      await scenario.run(context)
    } catch (error) {
      failed.push(scenario.name)
      console.log(
        styleText('red', `   FAILED: ${error instanceof Error ? error.message : String(error)}`),
      )
    }
  }
  const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
  console.log(`\n${styleText('bold', 'The books')}\n${formatBooks(books)}`)
  if (failed.length > 0) console.log(styleText('red', `\nFailed: ${failed.join(', ')}`))
  return failed.length === 0 && books.balanced ? 0 : 1
}

/** The scenarios that were asked for, or the exit code when there is nothing to run. */
function chooseScenarios(): readonly Scenario[] | number {
  const { positionals, help } = readArguments()
  if (help) {
    console.log(usage)
    return 0
  }
  if (positionals.length === 0) return scenarios
  const unknown = positionals.filter((name) => !scenarios.some((one) => one.name === name))
  if (unknown.length > 0) {
    console.error(`unknown scenario: ${unknown.join(', ')}\n\n${usage}`)
    return 2
  }
  return scenarios.filter((scenario) => positionals.includes(scenario.name))
}

function readArguments(): { positionals: string[]; help: boolean } {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h', default: false } },
  })
  return { positionals, help: values.help }
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
