import { createHash } from 'node:crypto'
import {
  deadLetterQueue,
  deadLetterQueueArguments,
  queues,
  topics,
  workQueueArguments,
} from '@edp/event-schemas'
import { z } from 'zod'
import { addPrepared, readPrepared } from './prepared.ts'
import { kafkaTopicsExist } from './probes.ts'
import type { Endpoints, Settings, Way } from './settings.ts'
import { messageOf, StackError } from './stack-error.ts'

/**
 * Creates the Kafka topics and the RabbitMQ exchanges and queues. What exists stays as it is.
 * @throws StackError when a queue exists with other arguments, and says which
 */
export async function prepareMessaging(
  endpoints: Endpoints,
  settings: Settings,
  way: Way,
): Promise<void> {
  const { namespace } = settings
  // With the arguments: what they were changed to is declared too, and then says what is wrong with the queues that are there.
  const args = [deadLetterQueueArguments, workQueueArguments(deadLetterQueue)]
  const mark = createHash('sha256')
    .update(JSON.stringify([namespace, topics, queues, deadLetterQueue, args]))
    .digest('hex')
    .slice(0, 16)
  if (way !== 'external' && readPrepared(settings)['messaging'] === mark) {
    if (await exists(settings)) return
  }
  await makeTopicsAndQueues(endpoints, namespace)
  addPrepared(settings, { messaging: mark })
}

/**
 * Declares all of them, whatever is there.
 * @throws StackError when a queue exists with other arguments, and says which
 */
export async function makeTopicsAndQueues(endpoints: Endpoints, namespace: string): Promise<void> {
  // Loaded only when needed: the clients and what they import take a second, of two that `up` may take.
  const { declareTopology, ensureTopics } = await import('@edp/messaging')
  const brokers = endpoints.kafkaBrokers.split(',').map((broker) => broker.trim())
  const results = await Promise.allSettled([
    ensureTopics({ brokers, namespace, topics }),
    declareTopology({ url: endpoints.rabbitmqUrl, namespace }),
  ])
  const problems = results.flatMap((result, index) =>
    result.status === 'rejected'
      ? [`${index === 0 ? 'Kafka' : 'RabbitMQ'}: ${messageOf(result.reason)}`]
      : [],
  )
  if (problems.length > 0) {
    throw new StackError(`Topics and queues could not be made.\n${problems.join('\n')}`)
  }
}

const queueListSchema = z.array(z.object({ name: z.string() }))

const CHECK_TIMEOUT_MS = 3000

/** Whether the brokers still have what was made: their data may be new. */
async function exists({ ports, password, namespace }: Settings): Promise<boolean> {
  const topicNames = topics.map(({ name }) => `${namespace}.${name}`)
  const queueNames = [...queues, deadLetterQueue].map(({ name }) => `${namespace}.${name}`)
  const [hasTopics, present] = await Promise.all([
    kafkaTopicsExist('127.0.0.1', ports.kafka, topicNames),
    queuesOf(ports.rabbitmqManagement, password),
  ])
  return hasTopics && queueNames.every((name) => present.has(name))
}

async function queuesOf(managementPort: number, password: string): Promise<Set<string>> {
  const authorization = `Basic ${Buffer.from(`edp:${password}`).toString('base64')}`
  try {
    const url = `http://127.0.0.1:${managementPort}/api/queues/%2F?columns=name`
    const response = await fetch(url, {
      headers: { authorization },
      signal: AbortSignal.timeout(CHECK_TIMEOUT_MS),
    })
    return new Set(queueListSchema.parse(await response.json()).map(({ name }) => name))
  } catch {
    return new Set() // Declaring them again does no harm, and says what is wrong.
  }
}
