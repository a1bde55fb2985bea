import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import {
  type Component,
  createLoop,
  fullJitter,
  type HealthReport,
  type Logger,
  type Loop,
} from '@edp/runtime'
import type { Publisher } from '../publisher.ts'
import { type DrainBounds, defaultBounds } from './bounds.ts'
import { connect, type ConnectionOptions, openSingle } from './connection.ts'
import { Lease } from './lease.ts'
import { type DrainMetrics, drainMetrics } from './metrics.ts'
import { OutboxTable } from './outbox-table.ts'
import { DrainSession } from './session.ts'
import { Signal } from './signal.ts'

/** What `createDrain` needs. */
export interface DrainOptions {
  /** The name of the database, for metrics and logs. */
  readonly database: string
  /** Connects as the relay's role. */
  readonly url: string
  readonly transport: 'kafka' | 'rabbitmq'
  readonly publisher: Publisher
  readonly logger: Logger
  readonly bounds?: Partial<DrainBounds>
}

/** Moves the committed rows of one transport of one database to its broker. */
export type Drain = Component & { report(): HealthReport }

const backlogRowsMax = 100_000

/**
 * Drains the outbox of one transport of one database, as long as it has the lease; stands by while another relay has it.
 * `start` does not wait for Postgres: an outage, then or later, is degraded and ends by itself. `stop` publishes no more,
 * deletes what was acknowledged and gives the lease back, so that another relay goes on at once.
 */
export function createDrain(options: DrainOptions): Drain {
  const drain = new DrainProcess(options)
  return {
    name: `drain ${options.database}/${options.transport}`,
    start: async () => drain.start(),
    stop: () => drain.stop(),
    report: () => drain.report(),
  }
}

class DrainProcess {
  readonly #options: DrainOptions
  readonly #bounds: DrainBounds
  readonly #logger: Logger
  readonly #metrics: DrainMetrics
  readonly #pool
  readonly #lease: Lease
  readonly #upkeep: Loop[]
  readonly #wake = new Signal()
  #session: DrainSession | undefined
  #running: Promise<void> | undefined
  #stopping = false
  #failures = 0
  #lastFailureMs = 0
  #lastError: unknown

  constructor(options: DrainOptions) {
    const { database, transport } = options
    this.#options = options
    this.#bounds = { ...defaultBounds, ...options.bounds }
    this.#logger = options.logger.child({ database, transport })
    this.#metrics = drainMetrics({ database, transport })
    this.#pool = openSingle(this.#connectionOptions('lease'))
    this.#lease = new Lease({
      pool: this.#pool,
      transport,
      owner: `${hostname()}/${process.pid}/${randomBytes(4).toString('hex')}`,
      bounds: this.#bounds,
    })
    this.#upkeep = [
      this.#loop('renew', this.#bounds.leaseMs / 3, () => this.#renew()),
      this.#loop('sample', this.#bounds.scanIntervalMs, () => this.#sample()),
    ]
  }

  async start(): Promise<void> {
    if (this.#stopping || this.#running) return
    this.#running = this.#run()
    for (const loop of this.#upkeep) await loop.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake.set()
    this.#session?.end()
    await this.#running
    for (const loop of this.#upkeep) await loop.stop()
    if (!this.#pool.ended) await this.#pool.end()
  }

  report(): HealthReport {
    const pauses = this.#session?.state.pauses
    const [blocked] = pauses?.blocked ?? []
    if (blocked) {
      return { status: 'unhealthy', detail: `${blocked.destination}: ${blocked.error.message}` }
    }
    if (this.#session === undefined && this.#failures > 0) {
      return { status: 'degraded', detail: String(this.#lastError) }
    }
    const paused = pauses?.all ?? []
    if (paused.length > 0) {
      const reasons = paused.map((pause) => `${pause.destination}: ${pause.error.message}`)
      return { status: 'degraded', detail: `paused: ${reasons.join('; ')}` }
    }
    return { status: 'ok', detail: this.#lease.valid ? 'drains' : 'stands by' }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        if (await this.#lease.acquire()) await this.#runSession()
        else if (!this.#stopping) await this.#wake.wait(this.#bounds.standbyPollMs)
        this.#failures = 0
      } catch (error) {
        await this.#afterFailure(error)
      }
    }
    // A release that fails costs the next owner the rest of the lease, and nothing else.
    await this.#lease.release().catch((error: unknown) => {
      this.#logger.warn({ err: error }, 'could not give the lease back')
    })
  }

  /** Everything that was under way has ended when this returns: the next session begins with nothing. */
  async #runSession(): Promise<void> {
    const reader = await connect(this.#connectionOptions('read'), { synchronousCommit: 'on' })
    try {
      // A delete that a crash of Postgres undoes only publishes a row again.
      const writer = await connect(this.#connectionOptions('delete'), { synchronousCommit: 'off' })
      try {
        await this.#drain(reader, writer)
      } finally {
        await writer.end().catch(() => undefined)
      }
    } finally {
      await reader.end().catch(() => undefined)
    }
  }

  async #drain(
    reader: Awaited<ReturnType<typeof connect>>,
    writer: Awaited<ReturnType<typeof connect>>,
  ): Promise<void> {
    const { transport, publisher } = this.#options
    const session = new DrainSession({
      reader: new OutboxTable(reader, transport),
      writer: new OutboxTable(writer, transport),
      publisher,
      bounds: this.#bounds,
      oneRowOfAKey: transport === 'rabbitmq',
      mayPublish: () => this.#lease.valid,
      metrics: this.#metrics,
      logger: this.#logger,
    })
    if (this.#stopping) return
    this.#session = session
    this.#metrics.leaseHeld(1)
    this.#logger.info('has the lease, drains')
    try {
      await session.run()
    } finally {
      this.#session = undefined
      this.#metrics.leaseHeld(0)
      this.#logger.info('drains no more')
    }
  }

  async #renew(): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    if (await this.#lease.renew()) return
    this.#logger.warn('another relay has the lease')
    session.end()
  }

  async #sample(): Promise<void> {
    if (this.#session === undefined) return
    const table = new OutboxTable(this.#pool, this.#options.transport)
    const { oldestSeconds, rows } = await table.sample(backlogRowsMax)
    this.#metrics.oldestSeconds(oldestSeconds)
    this.#metrics.backlogRows(rows)
  }

  async #afterFailure(error: unknown): Promise<void> {
    const nowMs = performance.now()
    // A session that lasted for a while and then failed is a new failure, not one more of the same.
    if (nowMs - this.#lastFailureMs > 2 * this.#bounds.databaseBackoff.capMs) this.#failures = 0
    this.#failures += 1
    this.#lastFailureMs = nowMs
    this.#lastError = error
    const waitMs = fullJitter({ attempt: this.#failures, ...this.#bounds.databaseBackoff })
    this.#logger.error({ err: error, failures: this.#failures, waitMs }, 'cannot drain now')
    if (!this.#stopping) await this.#wake.wait(waitMs)
  }

  #loop(name: string, intervalMs: number, work: () => Promise<void>): Loop {
    const { database, transport } = this.#options
    return createLoop({
      name: `${name} ${database}/${transport}`,
      intervalMs,
      work,
      logger: this.#logger,
      backoff: { baseMs: 100, capMs: intervalMs },
    })
  }

  #connectionOptions(purpose: string): ConnectionOptions {
    const { url, transport } = this.#options
    return {
      url,
      applicationName: `outbox-relay ${transport} ${purpose}`,
      onError: (error) => this.#logger.warn({ err: error, purpose }, 'connection lost'),
    }
  }
}
