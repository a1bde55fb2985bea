import { parseArgs } from 'node:util'
import { formatBooks, settleBooks } from './books.ts'
import { stackSetting } from './stack-settings.ts'

const usage = `Usage: pnpm books [--wait SECONDS] [--json]

Prints the books of the running system: money at the gateway against the orders and the payments, stock against what was
received, for a system at rest. Waits for orders that are under way (default 10 seconds).

Exit code 0 when the books balance, 1 when they do not or cannot be read, 2 for a wrong argument.`

async function main(): Promise<number> {
  const options = readArguments()
  if (!options) return 2
  if (options.help) {
    console.log(usage)
    return 0
  }
  const admin = stackSetting('stack', 'STACK_POSTGRES_ADMIN_URL')
  const gatewayUrl = stackSetting('payment-service', 'PAYMENT_GATEWAY_URL')
  const databases = {
    orders: new URL('/orders', admin).href,
    inventory: new URL('/inventory', admin).href,
    payments: new URL('/payments', admin).href,
    statistics: new URL('/statistics', admin).href,
  }
  const books = await settleBooks(databases, gatewayUrl, options.waitSeconds * 1000)
  console.log(options.json ? JSON.stringify(books, null, 2) : formatBooks(books))
  return books.balanced ? 0 : 1
}

function readArguments(): { help: boolean; json: boolean; waitSeconds: number } | undefined {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        json: { type: 'boolean', default: false },
        wait: { type: 'string', default: '10' },
      },
    })
    const waitSeconds = Number(values.wait)
    if (!Number.isFinite(waitSeconds) || waitSeconds < 0) {
      throw new Error(`--wait expects a number of seconds, given ${values.wait}`)
    }
    return { help: values.help, json: values.json, waitSeconds }
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return undefined
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  const reason = error instanceof Error ? error.message : String(error)
  const cause =
    error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : ''
  console.error(
    `cannot read the books: ${reason}${cause}\nAre the services running (npx pnpm@12 turbo dev)?`,
  )
  process.exitCode = 1
}
