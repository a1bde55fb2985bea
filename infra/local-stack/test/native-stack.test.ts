import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { processTable } from '../src/native/process-table.ts'
import { layout, readRecord } from '../src/native/server.ts'
import { listens } from '../src/probes.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SOFTWARE = join(ROOT, '.stack', 'software')
const SERVERS = ['postgres', 'kafka', 'rabbitmq', 'redis'] as const

// Everything that says the stack was already brought up natively on this machine; otherwise this file
// would install operating system packages, which no test may.
const canRun = process.platform === 'linux' && existsSync(SOFTWARE)

/** A second stack beside the developer's own: other ports, other folder. */
const ports = { postgres: 27432, kafka: 27092, rabbitmq: 27672, management: 27680, redis: 27379 }
const dir = mkdtempSync(join(tmpdir(), 'edp-stack-'))

const environment = {
  PATH: process.env['PATH'] ?? '',
  HOME: process.env['HOME'] ?? '',
  STACK: 'native',
  STACK_DIR: dir,
  STACK_INSTALL: 'no',
  STACK_POSTGRES_PORT: String(ports.postgres),
  STACK_KAFKA_PORT: String(ports.kafka),
  STACK_RABBITMQ_PORT: String(ports.rabbitmq),
  STACK_RABBITMQ_MANAGEMENT_PORT: String(ports.management),
  STACK_REDIS_PORT: String(ports.redis),
}

type Outcome = { code: number | null; output: string; ms: number }

function stack(command: string, env: Record<string, string> = {}): Promise<Outcome> {
  const startedMs = performance.now()
  const main = join(ROOT, 'infra/local-stack/src/main.ts')
  const args = ['--conditions=source', '--import', import.meta.resolve('tsx'), main, command]
  const child = spawn(process.execPath, args, { env: { ...environment, ...env } })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      resolve({
        code,
        output: Buffer.concat(chunks).toString(),
        ms: Math.round(performance.now() - startedMs),
      }),
    )
  })
}

/** Runs a command that must succeed. */
async function succeeds(command: string, env: Record<string, string> = {}): Promise<Outcome> {
  const outcome = await stack(command, env)
  if (outcome.code !== 0) throw new Error(`stack ${command}: ${outcome.code}\n${outcome.output}`)
  return outcome
}

function pidOf(server: string): number {
  const record = readRecord(dir, server)
  if (record === undefined) throw new Error(`${server} is not recorded`)
  return record.pid
}

/** RabbitMQ's Erlang process, which a shell script starts. */
function beam(): number {
  const leader = pidOf('rabbitmq')
  const commandLines = processTable()
    .filter(({ group, pid }) => group === leader && pid !== leader)
    .map(({ pid }) => ({ pid, text: readFileSync(`/proc/${pid}/cmdline`, 'latin1') }))
  const found = commandLines.find(({ text }) => text.includes('beam'))
  if (found === undefined) throw new Error('RabbitMQ has no Erlang process')
  return found.pid
}

const pids = () => SERVERS.map((server) => pidOf(server))

/** Every process that works in the data folder or names it: found without the stack's own records. */
function processesOfTest(): string[] {
  const data = join(dir, 'data')
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      try {
        const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
        const traces = [
          commandLine,
          readFileSync(`/proc/${pid}/environ`, 'latin1'),
          readlinkSync(`/proc/${pid}/cwd`),
        ]
        const isEpmd = commandLine.includes(`-port ${ports.management + 1}`)
        return isEpmd || traces.some((trace) => trace.includes(data)) ? [commandLine] : []
      } catch {
        return [] // It ended meanwhile.
      }
    })
}

async function query(sql: string, database = 'postgres'): Promise<unknown[]> {
  const client = new Client({
    connectionString: `postgres://postgres:edp@127.0.0.1:${ports.postgres}/${database}`,
  })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

// Every start of a JVM and of Erlang takes seconds, more when other tests have the processors.
describe.skipIf(!canRun)('the native stack', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    mkdirSync(dir, { recursive: true })
    symlinkSync(SOFTWARE, layout(dir).software('.'))
    // Two at once, as `turbo dev` and a test run would: one waits for the other.
    const [one, two] = await Promise.all([succeeds('up'), succeeds('up')])
    expect(one.output + two.output).toContain('waiting for another stack command')
  }, 120_000)

  afterAll(async () => {
    await succeeds('reset')
    // Services that run under `turbo dev` need it until the next `up`.
    expect(existsSync(join(dir, 'env/order-service.env'))).toBe(true)
    rmSync(dir, { recursive: true, force: true })
  }, 60_000)

  it('answers on every port and gives every app its database and settings', async () => {
    await succeeds('status')
    const databases = await query(`select datname || ' of ' || pg_get_userbyid(datdba) as name
      from pg_database where datname in ('orders', 'inventory', 'payments') order by 1`)
    expect(databases.flat()).toEqual([
      'inventory of inventory_service_owner',
      'orders of order_service_owner',
      'payments of payment_service_owner',
    ])
    const relay = readFileSync(join(dir, 'env/outbox-relay.env'), 'utf8')
    expect(relay).toContain(`postgres://relay:edp@127.0.0.1:${ports.postgres}/payments`)
    expect(readFileSync(join(dir, 'env/stack.env'), 'utf8')).toContain(
      `KAFKA_BROKERS='127.0.0.1:${ports.kafka}'`,
    )
  })

  it('lets only the service and the relay connect to a database, and commits durably', async () => {
    const connecting = await query(`select rolname from pg_roles where not rolsuper
      and rolname in ('order_service', 'payment_service', 'relay')
      and has_database_privilege(rolname, 'orders', 'connect') order by 1`)
    expect(connecting.flat()).toEqual(['order_service', 'relay'])
    const settings =
      await query(`select current_setting('fsync'), current_setting('synchronous_commit'),
      current_setting('listen_addresses')`)
    expect(settings).toEqual([['on', 'on', '127.0.0.1']])
  })

  it('leaves what runs alone when brought up again', async () => {
    const before = pids()
    const { output, ms } = await succeeds('up')
    process.stdout.write(`warm up took ${ms} ms\n`)
    expect(pids()).toEqual(before)
    expect(output).not.toMatch(/answers after|migrated/)
  })

  it('starts every server again after kill -9, with its data', async () => {
    await query('create table kept as select 1 as row')
    const before = pids()
    const victims = [pidOf('postgres'), pidOf('kafka'), beam(), pidOf('redis')]
    for (const pid of victims) process.kill(pid, 'SIGKILL')
    const { ms } = await succeeds('up')
    process.stdout.write(`repair of all four took ${ms} ms\n`)
    for (const [index, pid] of pids().entries()) expect(pid).not.toBe(before[index])
    await succeeds('status')
    expect(await query('select * from kept')).toEqual([[1]])
  })

  it('replaces a server that hangs, and what is left of one whose first process was killed', async () => {
    const hanging = pidOf('redis')
    const left = beam()
    process.kill(hanging, 'SIGSTOP')
    process.kill(pidOf('rabbitmq'), 'SIGKILL')
    const { output } = await succeeds('up')
    expect(output).toContain(`process ${hanging} does not answer`)
    expect(pidOf('redis')).not.toBe(hanging)
    expect(beam()).not.toBe(left)
    await succeeds('status')
  })

  it('names the port that another program has taken, and the setting that moves it', async () => {
    const intruder = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => intruder.once('listening', resolve))
    const address = intruder.address()
    const taken = typeof address === 'object' && address !== null ? String(address.port) : ''
    try {
      const { code, output } = await stack('up', { STACK_REDIS_PORT: taken })
      expect(code).toBe(1)
      expect(output).toContain(`Port ${taken} of Redis is taken by another program`)
      expect(output).toContain('STACK_REDIS_PORT')
    } finally {
      intruder.close()
    }
    await succeeds('up')
  })

  it('says what to install where there is no Java', async () => {
    const { code, output } = await stack('up', { PATH: '/nonexistent' })
    expect(code).toBe(1)
    expect(output).toContain('This machine lacks a Java 17 or newer runtime')
    expect(output).toContain('STACK_INSTALL=yes')
  })

  it('prepares servers that somebody else runs', async () => {
    const folder = join(dir, 'external')
    const external = {
      STACK: 'external',
      STACK_DIR: folder,
      STACK_POSTGRES_ADMIN_URL: `postgres://postgres:edp@127.0.0.1:${ports.postgres}/postgres`,
      KAFKA_BROKERS: `127.0.0.1:${ports.kafka}`,
      RABBITMQ_URL: `amqp://edp:edp@127.0.0.1:${ports.rabbitmq}`,
      REDIS_URL: `redis://127.0.0.1:${ports.redis}`,
    }
    await query('drop database payments with (force)')
    await succeeds('up', external)
    expect(await query(`select 1 from pg_database where datname = 'payments'`)).toHaveLength(1)
    expect(existsSync(join(folder, 'env/order-service.env'))).toBe(true)
    await succeeds('down', external)
    await succeeds('status')
  })

  it('leaves no process behind when taken down', async () => {
    expect(processesOfTest().length).toBeGreaterThan(SERVERS.length)
    await succeeds('down')
    expect(processesOfTest()).toEqual([])
    expect(await Promise.all(Object.values(ports).map((port) => listens(port)))).not.toContain(true)
    expect((await stack('status')).code).toBe(3)
  })
})
