import { type Component, type HealthReport, type Logger, sleep } from '@edp/runtime'
import { type Processor, type QueueEvents, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { type JobData, type JobResult, openRedis, queueName } from './job-queue.ts'

const retryMs = 1000
const awayLookMs = 250
const closeMaxMs = 2000

/** Something of BullMQ that runs on a connection of its own. */
type Runner = Pick<Worker | QueueEvents, 'waitUntilReady' | 'run' | 'close'>

/**
 * Runs a worker, or a listener to events, as long as the process lives. BullMQ's own give up for good when their first connection
 * breaks while it is being made: then another is made. One that stops by itself later ends the process: silence is the worst failure.
 */
export function createRunner(options: {
  name: string
  redisUrl: string
  make: (connection: Redis) => Runner
  /** Resolves when nothing that it has begun is under way. */
  idle?: () => Promise<unknown>
  logger: Logger
  onCrash: (error: unknown) => void
}): Component & { report(): HealthReport } {
  const { name, redisUrl, make, idle = async () => undefined, logger, onCrash } = options
  const stopping = new AbortController()
  let current: { runner: Runner; redis: Redis } | undefined
  let isRunning = false

  async function open(): Promise<Runner | undefined> {
    while (!stopping.signal.aborted) {
      const redis = openRedis(redisUrl, { waits: true })
      redis.on('error', (err) => logger.debug({ err, runner: name }, 'Redis is away'))
      const runner = make(redis)
      current = { runner, redis }
      try {
        await runner.waitUntilReady()
        return runner
      } catch (error) {
        if (stopping.signal.aborted) return undefined
        logger.warn({ err: error, runner: name }, 'the first connection broke, trying again')
        redis.disconnect()
        await sleep(retryMs, stopping.signal).catch(() => undefined)
      }
    }
    return undefined
  }

  async function run(): Promise<void> {
    const runner = await open()
    if (runner === undefined) return
    isRunning = true
    await runner.run()
    if (!stopping.signal.aborted) throw new Error(`${name} has stopped by itself`)
  }

  return {
    name,
    async start() {
      // Not awaited: Redis may be away for long, and the rest of the service works without it.
      run().catch((error: unknown) => {
        if (!stopping.signal.aborted) onCrash(error)
      })
    },
    async stop() {
      stopping.abort(new Error(`${name} is stopping`))
      if (current === undefined) return
      const { runner, redis } = current
      // It has connections of its own beside this one. One that is just coming back when it closes is waited for in vain, for ever,
      // although Redis is there: after the last job there is nothing that could take long.
      const late = idle().then(() => sleep(closeMaxMs))
      await Promise.race([runner.close(), untilAway(redis), late])
      redis.disconnect()
    },
    report() {
      const isUp = isRunning && current?.redis.status === 'ready'
      return isUp ? { status: 'ok' } : { status: 'degraded', detail: 'Redis is away: jobs wait' }
    },
  }
}

/**
 * Resolves when Redis has been away for two looks: a runner that closes then waits for the end of a connection that is no more, for
 * ever. What it has disconnected by then does not come back.
 */
async function untilAway(redis: Redis): Promise<void> {
  let looks = 0
  while (looks < 2) {
    await sleep(awayLookMs)
    looks = redis.status === 'ready' ? 0 : looks + 1
    if (redis.status === 'end') return
  }
}

/** A worker for the queue's jobs; at most so many a second over all workers. */
export function makeWorker(
  connection: Redis,
  options: {
    namespace: string
    process: Processor<JobData, JobResult>
    concurrency: number
    perSecondMax: number
    lockMs: number
    logger: Logger
  },
): Worker<JobData, JobResult> {
  const { namespace, process, concurrency, perSecondMax, lockMs, logger } = options
  const worker = new Worker<JobData, JobResult>(queueName, process, {
    connection,
    prefix: namespace,
    autorun: false,
    concurrency,
    limiter: { max: perSecondMax, duration: 1000 },
    lockDuration: lockMs,
    stalledInterval: lockMs,
    // The default of 1 gives a job up whose process was killed twice, which may have been nobody's fault.
    maxStalledCount: 10,
    // A second after an error of Redis, and not fifteen.
    runRetryDelay: retryMs,
  })
  worker.on('error', (err) => logger.warn({ err }, 'the worker meets an error, and goes on'))
  return worker
}
