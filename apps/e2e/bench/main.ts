import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareRun } from '../src/servers.ts'
import { repositoryRoot } from '../src/stack-settings.ts'
import { run as kafkajsSend } from './kafkajs-send.ts'
import { run as orders, runChoreographed, runEveryApp, runOrchestrated } from './orders.ts'
import { run as pipeline } from './pipeline.ts'
import { run as priority } from './priority.ts'
import { run as relayDrain } from './relay-drain.ts'
import { run as relayLatency } from './relay-latency.ts'
import { formatTable, plot } from './report.ts'
import type { BenchmarkContext, Row } from './types.ts'

type Benchmark = (context: BenchmarkContext) => Promise<Row[]>

const benchmarks: Record<string, Benchmark> = {
  'kafkajs-send': kafkajsSend,
  'relay-drain': relayDrain,
  'relay-latency': relayLatency,
  pipeline,
  orders,
  priority,
}
// Variants of `orders`, which run only when they are named.
const variants: Record<string, Benchmark> = {
  'orders-choreographed': runChoreographed,
  'orders-orchestrated': runOrchestrated,
  'orders-every-app': runEveryApp,
}

const usage = `Usage: pnpm bench [NAME...] [--json]

Runs the benchmarks on the local stack, prints a table (or rows as JSON on standard output) and writes bench-results/bench.json
and bench-results/bench.svg. Progress goes to standard error.

Names: ${Object.keys(benchmarks).join(', ')} (default: all of these);
       ${Object.keys(variants).join(', ')} (\`orders\` in one style alone, or with every app
       and not only those that an order passes on its way)

Exit code 0 when all ran, 1 when one failed, 2 for an unknown name.`

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) {
    console.log(usage)
    return 0
  }
  const known = { ...benchmarks, ...variants }
  const unknown = positionals.filter((name) => !Object.hasOwn(known, name))
  if (unknown.length > 0) {
    console.error(`unknown benchmark: ${unknown.join(', ')}\n\n${usage}`)
    return 2
  }
  const chosen = positionals.length > 0 ? new Set(positionals) : new Set(Object.keys(benchmarks))
  await prepareRun()
  const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`
  console.error(`On ${machine}, the load and every server included.`)
  const rows: Row[] = []
  for (const [name, run] of Object.entries(known)) {
    if (!chosen.has(name)) continue
    console.error(name)
    rows.push(...(await run({ log: (line) => console.error(`  ${line}`) })))
  }
  const directory = join(repositoryRoot, 'bench-results')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'bench.json'), `${JSON.stringify({ machine, rows }, null, 2)}\n`)
  writeFileSync(join(directory, 'bench.svg'), plot(rows))
  console.log(values.json ? JSON.stringify(rows, null, 2) : formatTable(rows))
  console.error(`\nWritten to ${directory}`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error
  console.error(isUsage ? `${error.message}\n\n${usage}` : error)
  process.exitCode = isUsage ? 2 : 1
}
