import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { down, logs, prepare, reset, status, up } from './commands.ts'
import { readSettings } from './settings.ts'
import { messageOf, StackError } from './stack-error.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

const HELP = `Usage: pnpm stack <command>

  up           start or repair Postgres, Kafka, RabbitMQ and Redis, prepare them, migrate, write .stack/env
  down [NAME]  stop what up started, or one server of it; data stays
  status       what runs; exit code 3 when a server does not answer
  reset        stop and delete the data
  prepare      make databases, roles, topics and queues on servers of your own, and nothing else
  logs NAME    the output of postgres, kafka, rabbitmq or redis; --follow (-f) goes on

STACK=external|docker|native chooses the way; else servers given by STACK_POSTGRES_ADMIN_URL,
KAFKA_BROKERS, RABBITMQ_URL and REDIS_URL, else a Docker engine that answers, else native.
`

/** Exit codes: 0 done, 1 failed, 2 wrong use, 3 `status` found a server down. */
async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, follow: { type: 'boolean', short: 'f' } },
  })
  const [command, name, ...more] = positionals
  if (values.help === true) {
    process.stdout.write(HELP)
    return 0
  }
  const settings = readSettings(process.env, ROOT)
  if (more.length === 0 && (name === undefined || command === 'logs' || command === 'down')) {
    if (command === 'up') return up(settings).then(() => 0)
    if (command === 'down') return down(settings, name).then(() => 0)
    if (command === 'reset') return reset(settings).then(() => 0)
    if (command === 'prepare' && name === undefined) return prepare(settings).then(() => 0)
    if (command === 'logs') return logs(settings, name, values.follow === true).then(() => 0)
    if (command === 'status') return (await status(settings)) ? 0 : 3
  }
  const said = positionals.join(' ')
  const what = said === '' ? 'no command was given' : `'${said}' is no command of the stack`
  process.stderr.write(`stack: ${what}\n\n${HELP}`)
  return 2
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const isUsage = error instanceof TypeError && 'code' in error
  const text =
    error instanceof StackError || isUsage
      ? messageOf(error)
      : String(error instanceof Error ? error.stack : error)
  process.stderr.write(`stack: ${text}\n`)
  process.exitCode = error instanceof StackError ? error.exitCode : isUsage ? 2 : 1
}
