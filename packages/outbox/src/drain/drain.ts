import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { isExpress } from '@edp/event-schemas'
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
import { type DeadRowPolicy, DeadRows } from './dead-rows.ts'
import { Lease } from './lease.ts'
import { type DrainMetrics, drainMetrics } from './metrics.ts'
import { type DeadSample, OutboxTable } from './outbox-table.ts'
import { DrainSession } from './session.ts'
import { Signal } from './signal.ts'

type Connection = Awaited<ReturnType<typeof connect>>

/** What `createDrain` needs. */
export interface DrainOptions {
  /** The name of the database, for metrics and logs. */
  readonly database: string
  /** Connects as the relay's role. */
  readonly url: string
  readonly transport: 'kafka' | 'rabbitmq'
  readonly publisher: Publisher
  /** Prefix of the topic that dead letters go to. */
  readonly namespace: string
  readonly logger: Logger
  /** By destination; `halt` for all unless told. */
  readonly deadRowPolicy?: (destination: string) => DeadRowPolicy
  readonly bounds?: Partial<DrainBounds>
}

/** Moves the committed rows of one transport of one database to its broker. */
export type Drain = Component & {
  report(): HealthReport
  /** Rows were put back, or given up: looks at once whether that concerns this drain, which would notice by itself a while later. */
  look(): void
}

const backlogRowsMax = 100_000
const nothingDead: DeadSample = { dead: 0, waiting: 0, oldestSeconds: 0 }

/**
 * Drains the outbox of one transport of one database, as long as it has the lease; stands by while another relay has it.
 * `start` does not wait for Postgres: an outage, then or later, is degraded and ends by itself. `stop` publishes no more,
 * deletes what was acknowledged and gives the lease back, so that another relay goes on at once. A row that can never be
 * published moves to `outbox_dead`, and a dead letter is enqueued.
 */
export function createDrain(options: DrainOptions): Drain {
  const drain = new DrainProcess(options)
  return {
    name: `drain ${options.database}/${options.transport}`,
    start: async () => drain.start(),
    stop: () => drain.stop(),
    report: () => drain.report(),
    look: () => drain.look(),
  }
}

class DrainProcess {
  readonly #options: DrainOptions
  readonly #bounds: DrainBounds
  readonly #logger: Logger
  readonly #metrics: DrainMetrics
  readonly #pool
  readonly #lease: Lease
  readonly #renewing: Loop
  readonly #sampling: Loop
  readonly #wake = new Signal()
  #session: DrainSession | undefined
  #running: Promise<void> | undefined
  #stopping = false
  #failures = 0
  #lastFailureMs = 0
  #lastError: unknown
  #dead = nothingDead

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
    this.#renewing = this.#loop('renew', this.#bounds.leaseMs / 3, () => this.#renew())
    this.#sampling = this.#loop('sample', this.#bounds.scanIntervalMs, () => this.#sample())
  }

  async start(): Promise<void> {
    if (this.#stopping || this.#running) return
    this.#running = this.#run()
    await this.#renewing.start()
    await this.#sampling.start()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#wake.set()
    this.#session?.end()
    await this.#running
    await this.#renewing.stop()
    await this.#sampling.stop()
    if (!this.#pool.ended) await this.#pool.end()
  }

  report(): HealthReport {
    const pauses = this.#session?.state.pauses
    if (this.#session === undefined && this.#failures > 0) {
      return { status: 'degraded', detail: String(this.#lastError) }
    }
    const paused = pauses?.all ?? []
    const reasons = paused.map((pause) => `${pause.destination}: ${pause.error.message}`)
    const troubles = [
      ...(paused.length > 0 ? [`paused: ${reasons.join('; ')}`] : []),
      ...(this.#dead.dead > 0 ? [describeDead(this.#dead)] : []),
    ]
    if (troubles.length > 0) return { status: 'degraded', detail: troubles.join('; ') }
    return { status: 'ok', detail: this.#lease.valid ? 'drains' : 'stands by' }
  }

  look(): void {
    this.#renewing.poke()
    this.#sampling.poke()
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

  async #drain(reader: Connection, writer: Connection): Promise<void> {
    // To connect may have taken as long as it lasts: then the session would end before its first send, and the next one too.
    if (!(await this.#lease.renew())) return
    const session = this.#createSession(reader, writer)
    if (this.#stopping) return
    this.#session = session
    this.#metrics.leaseHeld(1)
    this.#logger.info('has the lease, drains')
    try {
      await session.run()
    } finally {
      this.#session = undefined
      this.#metrics.leaseHeld(0)
      this.#noteDead(nothingDead)
      this.#logger.info('drains no more')
    }
  }

  #createSession(reader: Connection, writer: Connection): DrainSession {
    const { database, transport, publisher, namespace, deadRowPolicy } = this.#options
    const shared = { lease: this.#lease, metrics: this.#metrics, logger: this.#logger }
    const readTable = new OutboxTable(reader, transport)
    return new DrainSession({
      ...shared,
      reader: readTable,
      writer: new OutboxTable(writer, transport),
      publisher,
      bounds: this.#bounds,
      oneRowOfAKey: transport === 'rabbitmq',
      isExpress: transport === 'rabbitmq' ? isExpress : () => false,
      deadRows: new DeadRows({
        ...shared,
        table: readTable,
        database,
        transport,
        namespace,
        policyOf: deadRowPolicy ?? (() => 'halt'),
      }),
      onDead: () => this.#sampling.poke(),
    })
  }

  async #renew(): Promise<void> {
    const session = this.#session
    if (session === undefined) return
    if (await this.#lease.renew()) return session.leaseRenewed()
    this.#logger.warn('another relay has the lease')
    session.end()
  }

  async #sample(): Promise<void> {
    if (this.#session === undefined) return
    const table = new OutboxTable(this.#pool, this.#options.transport)
    const { oldestSeconds, rows } = await table.sample(backlogRowsMax)
    this.#metrics.oldestSeconds(oldestSeconds)
    this.#metrics.backlogRows(rows)
    const dead = await table.sampleDead(backlogRowsMax)
    // The owner says it; whoever stands by would say it twice.
    if (this.#session !== undefined) this.#noteDead(dead)
  }

  #noteDead(dead: DeadSample): void {
    this.#dead = dead
    this.#metrics.deadRows('dead', dead.dead)
    this.#metrics.deadRows('waiting', dead.waiting)
    this.#metrics.oldestDeadSeconds(dead.oldestSeconds)
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

function describeDead({ dead, waiting, oldestSeconds }: DeadSample): string {
  const age = `the oldest for ${Math.round(oldestSeconds)} s`
  return `${dead} dead rows, ${age}; ${waiting} rows wait behind them`
}
