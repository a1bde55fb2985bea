import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
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

/** Sources that come and go, such as the replicas of a service. */
export interface SourceGroup {
  readonly name: string
  /** Those that there are now. @throws when none can be found */
  find(): Promise<Source[]>
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

/** The addresses of a host. @throws when it has none */
export type Resolve = (host: string) => Promise<readonly string[]>

const addressesOf: Resolve = async (host) => {
  const found = await lookup(host, { all: true, order: 'ipv4first' })
  // Of one family: a replica that has an address of each is still one.
  return found.filter(({ family }) => family === found[0]?.family).map(({ address }) => address)
}

/**
 * The `/metrics` pages of all replicas of a service: one of each address that the host of the URL has when it is asked, so that one that
 * was added or replaced is watched too. An https URL is one page, since the certificate is for the name.
 */
export function metricsSources(
  name: string,
  url: string,
  wanted: ReadonlySet<string>,
  resolve: Resolve = addressesOf,
): SourceGroup {
  const { protocol, hostname } = new URL(url)
  const isOnePage = protocol === 'https:' || isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0
  return {
    name,
    async find() {
      if (isOnePage) return [metricsSource(name, url, wanted)]
      const addresses = await resolve(hostname)
      return addresses.map((address) => {
        const page = new URL(url)
        page.hostname = isIP(address) === 6 ? `[${address}]` : address
        return metricsSource(`${name}@${address}`, page.href, wanted)
      })
    },
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
 * that hangs must not hold up. A group none of which can be found is itself a source that cannot be read.
 */
export function createSourceWatch(options: {
  sources: readonly (Source | SourceGroup)[]
  intervalMs: number
  timeoutMs: number
  logger: Logger
}): SourceWatch {
  const { sources, intervalMs, timeoutMs, logger } = options
  const latest = new Map<string, readonly Reading[]>()

  function unreadable(error: unknown, source: string, before: readonly Reading[]): Reading {
    if (!before.some((one) => one.source === source && one.kind === 'unreadable')) {
      logger.warn({ source, reason: reasonOf(error) }, 'a source of figures cannot be read')
    }
    return { source, kind: 'unreadable', error: reasonOf(error) }
  }

  async function readAll(one: Source | SourceGroup, stopping: AbortSignal): Promise<void> {
    const before = latest.get(one.name) ?? []
    const signal = AbortSignal.any([stopping, AbortSignal.timeout(timeoutMs)])
    const readOne = async (source: Source): Promise<Reading> => {
      try {
        return { source: source.name, kind: 'read', samples: await source.read(signal) }
      } catch (error) {
        // What is cut off by the end of the process says nothing of the source.
        if (stopping.aborted) throw error
        return unreadable(error, source.name, before)
      }
    }
    try {
      const found = 'find' in one ? await orAborted(one.find(), signal) : [one]
      latest.set(one.name, await Promise.all(found.map(readOne)))
    } catch (error) {
      if (!stopping.aborted) latest.set(one.name, [unreadable(error, one.name, before)])
    }
  }

  return {
    loop: createLoop({
      name: 'alert-sources',
      intervalMs,
      logger,
      work: async (signal) => {
        await Promise.all(sources.map((source) => readAll(source, signal)))
      },
    }),
    readings: () =>
      sources.flatMap(({ name: source }) => latest.get(source) ?? [{ source, kind: 'unread' }]),
  }
}

/** For what takes no signal: its result is not waited for any longer once that is aborted. */
async function orAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  signal.throwIfAborted()
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
