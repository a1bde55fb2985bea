import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { progress } from './progress.ts'
import type { Endpoints } from './settings.ts'
import { StackError } from './stack-error.ts'
import type { ServerState } from './way.ts'

const WAIT_MS = 30_000
const POLL_INTERVAL_MS = 250
const CONNECT_TIMEOUT_MS = 3000

type Address = { name: string; setting: string; host: string; port: number }

/** Waits until servers that someone else runs can be reached; whether they work shows when they are prepared. */
export async function externalUp(endpoints: Endpoints): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  for (const address of addressesOf(endpoints)) {
    let told = false
    while (!(await isReachable(address))) {
      const where = `${address.name} at ${address.host}:${address.port}`
      if (performance.now() > deadline) {
        throw new StackError(`${where} does not answer: start it, or correct ${address.setting}.`)
      }
      if (!told) progress(`waiting for ${where}`)
      told = true
      await sleep(POLL_INTERVAL_MS)
    }
  }
}

export function externalStatus(endpoints: Endpoints): Promise<ServerState[]> {
  return Promise.all(
    addressesOf(endpoints).map(async (address) => ({
      name: address.name,
      state: (await isReachable(address)) ? ('running' as const) : ('not answering' as const),
      detail: `${address.host}:${address.port}`,
    })),
  )
}

/** Host and port of each server; of several Kafka brokers the first. */
export function addressesOf(endpoints: Endpoints): Address[] {
  const kafka = new URL(`kafka://${endpoints.kafkaBrokers.split(',')[0]?.trim()}`)
  const postgres = new URL(endpoints.postgresAdminUrl)
  const rabbitmq = new URL(endpoints.rabbitmqUrl)
  const redis = new URL(endpoints.redisUrl)
  const address = (name: string, setting: string, { hostname, port }: URL, byDefault: number) => ({
    name,
    setting,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? byDefault : Number(port),
  })
  return [
    address('postgres', 'STACK_POSTGRES_ADMIN_URL', postgres, 5432),
    address('kafka', 'KAFKA_BROKERS', kafka, 9092),
    address('rabbitmq', 'RABBITMQ_URL', rabbitmq, rabbitmq.protocol === 'amqps:' ? 5671 : 5672),
    address('redis', 'REDIS_URL', redis, 6379),
  ]
}

function isReachable({ host, port }: Address): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host, port })
    const end = (reached: boolean) => {
      socket.destroy()
      settle(reached)
    }
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => end(false))
    socket.once('error', () => end(false))
    socket.once('connect', () => end(true))
  })
}
