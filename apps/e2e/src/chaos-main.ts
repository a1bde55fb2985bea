import { parseArgs } from 'node:util'
import { runChaos } from './chaos.ts'
import { prepareRun, startServers } from './servers.ts'
import { startSystem, type System } from './system.ts'
import { seedFrom, wholeNumber } from './whole-number.ts'
import { withSystem } from './with-system.ts'

const usage = `Usage: pnpm chaos [--orders N] [--seed S]

Starts every service as a process of its own, places N orders of each style (default 2000), half of which are to be refused or
cancelled, and meanwhile kills each service twice with SIGKILL and restarts RabbitMQ and Kafka of the local stack. Then all orders
must have ended, the books must balance, and the log of every saga, decided again, must give the saga.

  --orders N   orders of each style
  --seed S     what is ordered, and when what fails; printed, so that a run can be repeated

Exit code 0 when all of it holds, 1 when not, 2 for a wrong argument.`

async function main(): Promise<number> {
  const options = readArguments()
  if (!options) return 2
  if (options.help) {
    console.log(usage)
    return 0
  }
  const { orders, seed } = options
  console.log(`seed ${seed}: repeat with \`pnpm chaos --orders ${orders} --seed ${seed}\``)
  await prepareRun()
  const startedAt = Date.now()
  const tell = (line: string): void => {
    console.log(`${String(Math.round((Date.now() - startedAt) / 1000)).padStart(5)} s  ${line}`)
  }
  return await withSystem(startRestartable, async (system) => {
    console.log(`The logs of the services are in ${system.logDirectory}`)
    for (const { coordination, status, count } of await runChaos(system, { orders, seed, tell })) {
      tell(`${coordination} ${status}: ${count}`)
    }
    tell('Every order has ended, the books balance, and every saga is what its log says.')
    return 0
  })
}

/** A system that can be stopped also between the two halves of a server's restart. */
async function startRestartable(): Promise<System> {
  const system = await startSystem(`chaos-${process.pid}`)
  const stop: System['stop'] = async () => {
    await startServers()
    return await system.stop()
  }
  return { ...system, stop }
}

interface Arguments {
  help: boolean
  orders: number
  seed: number
}

function readArguments(): Arguments | undefined {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        orders: { type: 'string', default: '2000' },
        seed: { type: 'string' },
      },
    })
    return {
      help: values.help,
      orders: wholeNumber('--orders', values.orders),
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
