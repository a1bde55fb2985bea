import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { redisAnswers } from '../probes.ts'
import type { Settings } from '../settings.ts'
import { layout, type Server } from './server.ts'

/** Redis with its append-only file. */
export function redis(settings: Settings, program: string): Server {
  const port = settings.ports.redis
  const data = layout(settings.dir).data('redis')
  const config = join(settings.root, 'infra/redis/redis.conf')
  return {
    name: 'redis',
    title: 'Redis',
    command: program,
    args: [config, '--bind', '127.0.0.1', '--port', String(port), '--dir', data],
    env: {},
    cwd: '/',
    config: readFileSync(config, 'utf8'),
    ports: [{ port, setting: 'STACK_REDIS_PORT' }],
    answers: () => redisAnswers('127.0.0.1', port),
    stopSignal: 'SIGTERM',
    prepare: async () => {
      mkdirSync(data, { recursive: true })
    },
  }
}
