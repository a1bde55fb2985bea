import { parseArgs } from 'node:util'
import { seedFrom, wholeNumber } from '../src/whole-number.ts'
import { type ContainerSystem, planContainers } from './container-system.ts'
import { removeImages } from './images.ts'
import { type Phase, phases, type Run } from './phases.ts'

const usage = `Usage: pnpm test:compose [PHASE...] [--seed S] [--orders-per-second N] [--keep]

Builds the images, brings the whole system up in containers of its own, on free ports, and runs these phases:
${phases.map(({ name, title }) => `  ${name.padEnd(10)} ${title}`).join('\n')}
Then it removes everything. The logs of all containers are kept when a phase failed. PHASE chooses some: build and up are needed
unless the images are there.

  --seed S               what is ordered; printed, so that a run can be repeated
  --orders-per-second N  how fast, under load (default 10)
  --keep                 leaves everything as it is when a phase failed

Exit code 0 when everything is as it has to be, 1 when not, 2 for a wrong argument.`

const version = 'compose-test'

async function main(): Promise<number> {
  const options = readArguments()
  if (!options) return 2
  if (options.help) {
    console.log(usage)
    return 0
  }
  const startedAt = Date.now()
  const { chosen, seed, ordersPerSecond, keep } = options
  console.log(`seed ${seed}`)
  const system = await planContainers(`edp-compose-${process.pid}`, version)
  process.once('SIGINT', () => void cleanUp(system).finally(() => process.exit(130)))
  const tell = (line: string): void => console.log(`        ${line.replaceAll('\n', '\n        ')}`)
  const failed = await runPhases(chosen, { system, version, seed, ordersPerSecond, tell })
  if (failed) {
    await system.saveLogs()
    console.log(`The logs of all containers are in ${system.logDirectory}`)
    if (keep) {
      console.log(`\`docker compose --project-name ${system.project} down --volumes\` removes them`)
      return 1
    }
  }
  const problems = await cleanUp(system)
  console.log(`everything in ${seconds(startedAt)}`)
  for (const problem of problems) console.error(problem)
  console.log(failed || problems.length > 0 ? 'FAILED' : 'Everything is as it has to be.')
  return failed || problems.length > 0 ? 1 : 0
}

/** Goes on after a phase that failed, unless it is one without which there is nothing to go on with. */
async function runPhases(chosen: readonly Phase[], run: Run): Promise<boolean> {
  let failed = false
  for (const [index, phase] of chosen.entries()) {
    const startedAt = Date.now()
    console.log(`[${index + 1}/${chosen.length}]   ${phase.title} ...`)
    try {
      await phase.run(run)
      run.tell(`done in ${seconds(startedAt)}`)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      run.tell(`FAILED after ${seconds(startedAt)}: ${reason}`)
      failed = true
      if (phase.name === 'build' || phase.name === 'up') break
    }
  }
  return failed
}

async function cleanUp(system: ContainerSystem): Promise<string[]> {
  const problems = await system.remove()
  await removeImages(version)
  return problems
}

function seconds(startedAt: number): string {
  return `${((Date.now() - startedAt) / 1000).toFixed(1)} s`
}

interface Arguments {
  help: boolean
  chosen: readonly Phase[]
  seed: number
  ordersPerSecond: number
  keep: boolean
}

function readArguments(): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        seed: { type: 'string' },
        'orders-per-second': { type: 'string', default: '10' },
        keep: { type: 'boolean', default: false },
      },
    })
    const unknown = positionals.find((name) => !phases.some((phase) => phase.name === name))
    if (unknown !== undefined) throw new Error(`there is no phase ${unknown}`)
    return {
      help: values.help,
      chosen:
        positionals.length === 0 ? phases : phases.filter(({ name }) => positionals.includes(name)),
      seed: seedFrom(values.seed),
      ordersPerSecond: wholeNumber('--orders-per-second', values['orders-per-second']),
      keep: values.keep,
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
