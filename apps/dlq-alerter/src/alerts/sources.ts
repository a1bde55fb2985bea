import { createLoop, gauge, type Logger, type Loop } from '@edp/runtime'
import { z } from 'zod'
import { answerText } from './answer-text.ts'
import { type Sample, readSamples } from './prometheus-text.ts'
import { reasonOf } from './reason.ts'
import { queueMetric } from './threshold-rules.ts'
import type { Reading } from './thresholds.ts'

/** Figures that are read again and again. */
export interface Source {
  readonly name: string
  /** @throws when it does not answer, or not with figures */
  read(signal: AbortSignal): Promise<Sample[]>
}

// Not under the name that the rules look for: the alerter reads its own page too.
const queueDepth = gauge(
  'edp_rabbitmq_queue_messages',
  "Messages in a queue, by RabbitMQ's count",
  ['queue'],
)

const answerBytesMax = 4 * 1024 * 1024

/** The `/metrics` page of a service. Only the samples that `wanted` names are kept. */
export function metricsSource(name: string, url: string, wanted: ReadonlySet<string>): Source {
  return {
    name,
    read: async (signal) => readSamples(await getText(url, { signal }), wanted),
  }
}

const queuesAnswer = z.array(z.object({ name: z.string(), messages: z.int().default(0) }))

/**
 * The depth of every queue of the namespace, by RabbitMQ's own count: it also sees the queue of a consumer that is gone. A queue
 * that was declared a moment ago has no count yet and reads as empty.
 * @param options `amqpUrl` has the virtual host and, unless `url` has them, user and password
 */
export function rabbitmqSource(options: {
  url: string
  amqpUrl: string
  namespace: string
}): Source {
  const broker = new URL(options.amqpUrl)
  const api = new URL(options.url)
  const user = decodeURIComponent(api.username || broker.username)
  const password = decodeURIComponent(api.password || broker.password)
  // In the virtual host's name `/` is %2F, in both URLs; none is the default one.
  const vhost = broker.pathname.slice(1) || '%2F'
  const path = api.pathname.replace(/\/$/, '')
  const url = `${api.origin}${path}/api/queues/${vhost}?columns=name,messages`
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  return {
    name: 'rabbitmq',
    async read(signal) {
      const queues = queuesAnswer.parse(
        JSON.parse(await getText(url, { signal, headers: { authorization } })),
      )
      const own = queues.filter(({ name }) => name.startsWith(`${options.namespace}.`))
      queueDepth.reset()
      for (const { name: queue, messages } of own) queueDepth.set({ queue }, messages)
      return own.map(({ name: queue, messages: value }) => ({
        name: queueMetric,
        labels: { queue },
        value,
      }))
    },
  }
}

async function getText(
  url: string,
  options: { signal: AbortSignal; headers?: Record<string, string> },
): Promise<string> {
  const response = await fetch(url, { ...options, redirect: 'error' })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`HTTP ${response.status}`)
  }
  const { text, whole } = await answerText(response, answerBytesMax)
  if (!whole) throw new Error(`more than ${answerBytesMax} bytes`)
  return text
}

/** The sources with what they last said. */
export interface SourceWatch {
  readonly loop: Loop
  readings(): Reading[]
}

/**
 * Reads all sources at the same time, each within `timeoutMs`, again and again. Apart from the evaluation, which a source
 * that hangs must not hold up.
 */
export function createSourceWatch(options: {
  sources: readonly Source[]
  intervalMs: number
  timeoutMs: number
  logger: Logger
}): SourceWatch {
  const { sources, intervalMs, timeoutMs, logger } = options
  const latest = new Map<string, Reading>()

  async function readOne(one: Source, stopping: AbortSignal): Promise<void> {
    const { name: source } = one
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)])
    try {
      latest.set(source, { source, kind: 'read', samples: await one.read(signal) })
    } catch (error) {
      if (stopping.aborted) return
      if (latest.get(source)?.kind !== 'unreadable') {
        logger.warn({ err: error, source }, 'a source of figures cannot be read')
      }
      latest.set(source, { source, kind: 'unreadable', error: reasonOf(error) })
    }
  }

  return {
    loop: createLoop({
      name: 'alert-sources',
      intervalMs,
      logger,
      work: async (signal) => {
        await Promise.all(sources.map((source) => readOne(source, signal)))
      },
    }),
    readings: () =>
      sources.map(({ name: source }) => latest.get(source) ?? { source, kind: 'unread' }),
  }
}
