import { layout, readRecord, ensureRunning, stop, type Server } from './server.ts'
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { kafkaAnswers, postgresAnswers, rabbitmqAnswers, redisAnswers } from '../probes.ts'
import type { Settings } from '../settings.ts'
import { messageOf, StackError } from '../stack-error.ts'
import type { ServerState } from '../way.ts'
import { kafka } from './kafka.ts'
import { postgres } from './postgres.ts'
import { outsideFolder } from './postgres-user.ts'
import { leaderRuns } from './process-table.ts'
import { epmd, rabbitmq } from './rabbitmq.ts'
import { redis } from './redis.ts'
import { software } from './software.ts'

/** In the order in which they are stopped: the port mapper goes after RabbitMQ, which talks to it. */
const stops: readonly Pick<Server, 'name' | 'stopSignal'>[] = [
  { name: 'rabbitmq', stopSignal: 'SIGTERM' },
  { name: 'kafka', stopSignal: 'SIGTERM' },
  { name: 'postgres', stopSignal: 'SIGINT' },
  { name: 'redis', stopSignal: 'SIGTERM' },
]

/** Starts or repairs the four servers as processes of this machine. */
export async function nativeUp(settings: Settings): Promise<void> {
  const {
    java,
    rabbitmqServer,
    epmd: mapper,
    redisServer,
    kafkaLibraries,
  } = await software(settings)
  const chains: Server[][] = [
    [postgres(settings)],
    [kafka(settings, java, kafkaLibraries)],
    [epmd(settings, mapper), rabbitmq(settings, rabbitmqServer)],
    [redis(settings, redisServer)],
  ]
  const results = await Promise.allSettled(
    chains.map(async (chain) => {
      for (const server of chain) await ensureRunning(server, settings.dir)
    }),
  )
  const problems = results.flatMap((result) =>
    result.status === 'rejected' ? [messageOf(result.reason)] : [],
  )
  if (problems.length > 0) throw new StackError(problems.join('\n'))
}

/** Stops all of them. Returns whether any ran. */
export async function nativeDown(settings: Settings): Promise<boolean> {
  const stopped = await Promise.all(stops.map((server) => stop(server, settings.dir)))
  const mapper = await stop({ name: 'epmd', stopSignal: 'SIGTERM' }, settings.dir)
  return mapper || stopped.includes(true)
}

/** Stops one of them. Returns whether it ran. */
export async function nativeStop(settings: Settings, name: string): Promise<boolean> {
  const server = stops.find((one) => one.name === name)
  return server !== undefined && (await stop(server, settings.dir))
}

/** Whether any of the servers was started natively and not stopped since. */
export function nativeRuns(settings: Settings): boolean {
  return stops.some(({ name }) => {
    const record = readRecord(settings.dir, name)
    return record !== undefined && leaderRuns(record)
  })
}

export async function nativeStatus(settings: Settings): Promise<ServerState[]> {
  const { ports } = settings
  const servers = [
    { name: 'postgres', port: ports.postgres, answers: postgresAnswers },
    { name: 'kafka', port: ports.kafka, answers: kafkaAnswers },
    { name: 'rabbitmq', port: ports.rabbitmq, answers: rabbitmqAnswers },
    { name: 'redis', port: ports.redis, answers: redisAnswers },
  ]
  return Promise.all(
    servers.map(async ({ name, port, answers }) => {
      const record = readRecord(settings.dir, name)
      const runs = record !== undefined && leaderRuns(record)
      const state = runs
        ? (await answers('127.0.0.1', port))
          ? 'running'
          : 'not answering'
        : 'stopped'
      return { name, state, detail: runs ? `port ${port}, pid ${record.pid}` : `port ${port}` }
    }),
  )
}

/** Deletes what the servers stored and logged; the downloaded software stays. */
export function nativeDelete(settings: Settings): void {
  rmSync(outsideFolder(settings.dir), { recursive: true, force: true })
  for (const name of ['postgres', 'kafka', 'rabbitmq', 'redis']) {
    rmSync(layout(settings.dir).data(name), { recursive: true, force: true })
    rmSync(layout(settings.dir).log(name), { force: true })
  }
}

/** Prints the end of a server's output, and with `follow` what comes. */
export async function nativeLogs(settings: Settings, name: string, follow: boolean): Promise<void> {
  const path = layout(settings.dir).log(name)
  if (!existsSync(path)) throw new StackError(`${name} has printed nothing yet (${path}).`)
  const child = spawn('tail', ['-n', '200', ...(follow ? ['-F'] : []), path], { stdio: 'inherit' })
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => resolve())
  })
}
