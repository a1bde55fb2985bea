import { parseArgs, styleText } from 'node:util'
import { type Coordination, coordinations } from './api.ts'
import { formatBooks, settleBooks } from './books.ts'
import { runScenario, type Scenario, scenarios } from './scenarios.ts'
import { prepareRun } from './servers.ts'
import { sceneOf } from './reachable-system.ts'
import { startSystem, type System } from './system.ts'
import { withSystem } from './with-system.ts'

const stories = scenarios.filter((scenario) => scenario.inDemo)

const usage = `Usage: pnpm demo [STORY...]

Starts every service as a process of its own, on databases, topics and queues of its own, and tells each story twice, side by side:
choreographed and orchestrated, with the order's timeline; then the books. Exit code 0 only when every story ended in
both styles as it must and the books balance, 2 for an unknown story.

Stories:
${stories.map((scenario) => `  ${scenario.name.padEnd(16)} ${scenario.title}`).join('\n')}`

async function main(): Promise<number> {
  const chosen = chooseScenarios()
  if (typeof chosen === 'number') return chosen
  await prepareRun()
  console.log('Starting the services ...')
  const start = (): Promise<System> => startSystem(`demo-${process.pid}`)
  return await withSystem(start, async (system, interrupted) => {
    const code = await tellStories(system, chosen, interrupted)
    console.log(`The logs of the services are in ${system.logDirectory}`)
    return code
  })
}

async function tellStories(
  system: System,
  chosen: readonly Scenario[],
  interrupted: AbortSignal,
): Promise<number> {
  const failed: string[] = []
  for (const [index, scenario] of chosen.entries()) {
    console.log(`\n${styleText('bold', `${index + 1}. ${scenario.title}`)}`)
    const told = await Promise.all(coordinations.map((style) => tellOnce(system, scenario, style)))
    interrupted.throwIfAborted()
    console.log(sideBySide(told.map((one) => one.lines)))
    for (const { coordination, failure } of told) {
      if (failure === undefined) continue
      failed.push(`${scenario.name}, ${coordination}`)
      console.log(styleText('red', `   FAILED, ${coordination}: ${failure}`))
    }
  }
  const books = await settleBooks(system.databases, system.gatewayUrl, 30_000)
  console.log(`\n${styleText('bold', 'The books')}\n${formatBooks(books)}`)
  if (failed.length > 0) console.log(styleText('red', `\nFailed: ${failed.join('; ')}`))
  return failed.length === 0 && books.balanced ? 0 : 1
}

interface Told {
  coordination: Coordination
  lines: string[]
  failure: string | undefined
}

async function tellOnce(
  system: System,
  scenario: Scenario,
  coordination: Coordination,
): Promise<Told> {
  const lines: string[] = [coordination]
  const tell = (line: string): void => void lines.push(line)
  try {
    await runScenario(scenario, { ...sceneOf(system), coordination, tell })
    return { coordination, lines, failure: undefined }
  } catch (error) {
    return { coordination, lines, failure: error instanceof Error ? error.message : String(error) }
  }
}

const columnGap = 4

/** Columns beside each other where the terminal has room for them, else one under the other. */
function sideBySide(columns: readonly string[][]): string {
  const widths = columns.map((lines) => Math.max(...lines.map((line) => line.length)) + columnGap)
  const room = process.stdout.columns ?? 160
  if (widths.reduce((sum, width) => sum + width, 0) > room) {
    return columns.map((lines) => lines.map((line) => `   ${line}`).join('\n')).join('\n\n')
  }
  const height = Math.max(...columns.map((lines) => lines.length))
  return Array.from({ length: height }, (_, row) => {
    const cells = columns.map((lines, column) => (lines[row] ?? '').padEnd(widths[column] ?? 0))
    return `   ${cells.join('')}`.trimEnd()
  }).join('\n')
}

/** The stories that were asked for, or the exit code when there is nothing to run. */
function chooseScenarios(): readonly Scenario[] | number {
  const { positionals, help } = readArguments()
  if (help) {
    console.log(usage)
    return 0
  }
  if (positionals.length === 0) return stories
  const unknown = positionals.filter((name) => !stories.some((one) => one.name === name))
  if (unknown.length > 0) {
    console.error(`unknown story: ${unknown.join(', ')}\n\n${usage}`)
    return 2
  }
  return stories.filter((scenario) => positionals.includes(scenario.name))
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
  const isUsage = error instanceof TypeError && 'code' in error
  console.error(
    isUsage ? `${error.message}\n\n${usage}` : error instanceof Error ? error.message : error,
  )
  process.exitCode = isUsage ? 2 : 1
}
