import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, repositoryRoot, waitFor } from '@edp/testkit'
import { Redis } from 'ioredis'

/** Whether there is a program to start: a stack in Docker brings none. */
export const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0

/** A Redis of a test's own, with the settings of the stack's. */
export type RedisServer = {
  readonly url: string
  /** Ends it at once, as a crash would: what it has not yet written is lost. */
  kill(): Promise<void>
  /** Starts it on the data that it has left. */
  start(): Promise<void>
  /** Starts it with nothing: its disk is lost. */
  startEmpty(): Promise<void>
  close(): Promise<void>
}

/** Starts a Redis. */
export async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'))
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  const settings = join(repositoryRoot(), 'infra/redis/redis.conf')
  let child: ChildProcess | undefined

  async function answers(): Promise<boolean> {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null })
    redis.on('error', () => undefined)
    try {
      await redis.connect()
      return (await redis.ping()) === 'PONG'
    } catch {
      return false
    } finally {
      redis.disconnect()
    }
  }

  const server: RedisServer = {
    url,
    async start() {
      const options = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder]
      child = spawn('redis-server', [settings, ...options], { stdio: 'ignore' })
      await waitFor(answers, { message: 'Redis answers' })
    },
    async startEmpty() {
      rmSync(join(folder, 'appendonlydir'), { recursive: true })
      await server.start()
    },
    async kill() {
      const running = child
      if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
      const ended = once(running, 'exit')
      running.kill('SIGKILL')
      await ended
    },
    async close() {
      await server.kill()
      rmSync(folder, { recursive: true })
    },
  }
  await server.start()
  return server
}
