import { randomUUID } from 'node:crypto'
import {
  type Component,
  createLoop,
  type Database,
  gauge,
  type Logger,
  type Loop,
  noRow,
  statement,
} from '@edp/runtime'
import { z } from 'zod'
import { Caution } from './caution.ts'
import { Turns } from './turns.ts'

/** How often processes may die over a message that they handle alone before it is dead. */
export const killsMax = 3

const cautious = gauge(
  'edp_consumer_cautious',
  '1 while messages are handled one by one, since a process was killed',
)

/** A message of a consumer, as the inbox knows it. */
export interface MarkedMessage {
  readonly consumer: string
  readonly messageId: string
}

export interface ConsumerRunsOptions {
  consumers: readonly string[]
  database: Pick<Database, 'transaction'>
  logger: Logger
  /** Default 2 s. */
  heartbeatIntervalMs?: number
  /** Silence after which a process counts as killed; default 8 s, so that three heartbeats may fail. */
  staleAfterMs?: number
  /** See `CautionBounds`; default twice the messages that a consumer has in hand of a queue. */
  cautionMessagesMax?: number
}

// As long as a killed process may take to be started again, with the backoff of whoever does that.
const cautionMaxMs = 10 * 60 * 1000
const markKeptMs = 24 * 60 * 60 * 1000
const cautionMessagesMaxDefault = 4000

// Made again when it is gone: somebody may have taken a process that was stopped for a long time for dead.
const heartbeat = statement(
  'consumer_run_heartbeat',
  noRow,
  `insert into consumer_run (consumer, instance)
   select consumer, $2 from unnest($1::text[]) as c (consumer) order by consumer
   on conflict (consumer, instance) do update set heartbeat_at = clock_timestamp()`,
)

const findKilled = statement(
  'consumer_run_killed',
  z.object({ instance: z.string() }),
  `select distinct instance from consumer_run
   where consumer = any ($1::text[]) and instance <> $2
     and heartbeat_at < clock_timestamp() - $3 * interval '1 millisecond'
     and heartbeat_at > clock_timestamp() - $4 * interval '1 millisecond'`,
)

const forget = statement(
  'consumer_run_forget',
  noRow,
  `delete from consumer_run
   where consumer = any ($1::text[]) and heartbeat_at < clock_timestamp()
     - case when marked_message_id is null then $2::float8 else $3::float8 end * interval '1 millisecond'`,
)

const end = statement(
  'consumer_run_end',
  noRow,
  'delete from consumer_run where consumer = any ($1::text[]) and instance = $2',
)

// It need not survive a crash of Postgres, only ours.
const relax = statement('consumer_run_relax', noRow, 'set local synchronous_commit = off')

const mark = statement(
  'consumer_run_mark',
  z.object({ kills: z.number() }),
  `insert into consumer_run (consumer, instance, marked_message_id) values ($1, $2, $3)
   on conflict (consumer, instance) do update
     set marked_message_id = excluded.marked_message_id, heartbeat_at = clock_timestamp()
   returning (
     select count(*)::integer from consumer_run d
     where d.consumer = $1 and d.marked_message_id = $3 and d.instance <> $2
       and d.heartbeat_at < clock_timestamp() - $4 * interval '1 millisecond'
   ) as kills`,
)

const unmark = statement(
  'consumer_run_unmark',
  noRow,
  'update consumer_run set marked_message_id = null where consumer = $1 and instance = $2',
)

const acquit = statement(
  'consumer_run_acquit',
  noRow,
  `delete from consumer_run
   where consumer = $1 and marked_message_id = $2 and instance <> $3
     and heartbeat_at < clock_timestamp() - $4 * interval '1 millisecond'`,
)

/**
 * The processes of a service's consumers, as they know of each other. Each has a row with a heartbeat, which a clean stop deletes: a
 * row whose heartbeat has ended tells of a process that was killed, maybe by a message. Whoever finds one is cautious for a while:
 * it handles messages one by one, nothing else of its consumers beside it, each with a committed mark before. A process that dies
 * leaves the mark, and only that message is charged; whatever dies in a batch charges nobody.
 */
export class ConsumerRuns implements Component {
  readonly name = 'consumer runs'
  readonly #options: Required<Omit<ConsumerRunsOptions, 'cautionMessagesMax'>>
  readonly #instance = randomUUID()
  readonly #turns = new Turns()
  readonly #caution: Caution
  readonly #loop: Loop
  #registered: Promise<void> | undefined
  #lastHeartbeatAt: number | undefined
  #judgesFrom = 0
  #mayBeCautious = false

  constructor(options: ConsumerRunsOptions) {
    const { heartbeatIntervalMs = 2000, staleAfterMs = 8000 } = options
    const { cautionMessagesMax: messagesMax = cautionMessagesMaxDefault } = options
    this.#options = { ...options, heartbeatIntervalMs, staleAfterMs }
    this.#caution = new Caution({ messagesMax, durationMaxMs: cautionMaxMs })
    this.#loop = createLoop({
      name: this.name,
      intervalMs: heartbeatIntervalMs,
      logger: options.logger,
      // No longer than usual: who is slow to say that it lives again is taken for dead.
      backoff: { baseMs: heartbeatIntervalMs, capMs: heartbeatIntervalMs },
      work: () => this.#beat(),
    })
  }

  async start(): Promise<void> {
    await this.#loop.start()
  }

  /** Says that it ends cleanly; what can not be said is found out by the others, who are then cautious in vain. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    // One that is under way would make the rows again.
    await this.#registered?.catch(() => undefined)
    const { database, consumers, logger } = this.#options
    try {
      await database.transaction((tx) => tx.execute(end, [consumers, this.#instance]))
    } catch (error) {
      logger.warn({ err: error }, 'a clean stop was not noted')
    }
  }

  /**
   * Resolves when this process is known and knows who was killed: then it may handle messages.
   * @throws when the database does not answer
   */
  async ready(): Promise<void> {
    this.#registered ??= this.#beat()
    try {
      await this.#registered
    } catch (error) {
      this.#registered = undefined
      throw error
    }
  }

  /** False while nobody was killed: then nothing need be asked of each message. */
  get mayBeCautious(): boolean {
    return this.#mayBeCautious
  }

  /** Whether messages of a partition or queue are to be handled one by one. */
  isCautious(source: string): boolean {
    if (!this.#mayBeCautious) return false
    return this.#caution.isOn(source, performance.now())
  }

  /** Handles messages as usual: beside others, but never beside one that is handled alone. */
  together<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.together(work)
  }

  /**
   * Handles one message alone, marked. `work` is told how many processes have died over it.
   */
  alone<T>(
    message: MarkedMessage,
    source: string,
    work: (kills: number) => Promise<T>,
  ): Promise<T> {
    return this.#turns.alone(async () => {
      const kills = await this.#mark(message)
      const result = await work(kills)
      if (kills > 0) await this.#acquit(message)
      this.#caution.pass(source)
      return result
    })
  }

  /** Nothing is handled alone any more. Never rejects: a mark that stays is taken back with the next one. */
  async unmark(consumer: string): Promise<void> {
    const { database, logger } = this.#options
    try {
      await database.transaction(async (tx) => {
        void tx.execute(relax)
        void tx.execute(unmark, [consumer, this.#instance])
      })
    } catch (error) {
      logger.warn({ err: error, consumer }, 'a mark was not taken back')
    }
  }

  async #mark({ consumer, messageId }: MarkedMessage): Promise<number> {
    const { database, staleAfterMs } = this.#options
    const [row] = await database.transaction((tx) => {
      void tx.execute(relax)
      return tx.run(mark, [consumer, this.#instance, messageId, staleAfterMs])
    })
    return row?.kills ?? 0
  }

  /** It is over with the message, in whatever way: who died over it counts no more. */
  async #acquit({ consumer, messageId }: MarkedMessage): Promise<void> {
    const { database, staleAfterMs } = this.#options
    await database.transaction((tx) =>
      tx.execute(acquit, [consumer, messageId, this.#instance, staleAfterMs]),
    )
  }

  async #beat(): Promise<void> {
    const { database, consumers } = this.#options
    await database.transaction(async (tx) => {
      void tx.execute(relax)
      void tx.execute(heartbeat, [consumers, this.#instance])
      void tx.execute(forget, [consumers, cautionMaxMs, markKeptMs])
    })
    if (this.#mayJudge()) await this.#judge()
  }

  // While Postgres was away nobody's heartbeat got through: whoever is back first would take all the others for dead. A try that
  // hangs may take them nearly as long as the silence that is allowed, so they get twice of it.
  #mayJudge(): boolean {
    const now = performance.now()
    const { staleAfterMs } = this.#options
    const silentMs = this.#lastHeartbeatAt === undefined ? 0 : now - this.#lastHeartbeatAt
    this.#lastHeartbeatAt = now
    if (silentMs > staleAfterMs / 2) this.#judgesFrom = now + 2 * staleAfterMs
    return now >= this.#judgesFrom
  }

  async #judge(): Promise<void> {
    const { database, consumers, staleAfterMs, logger } = this.#options
    const rows = await database.transaction((tx) =>
      tx.run(findKilled, [consumers, this.#instance, staleAfterMs, cautionMaxMs]),
    )
    const now = performance.now()
    const killed = rows.map(({ instance }) => instance)
    if (this.#caution.found(killed, now)) {
      this.#mayBeCautious = true
      logger.warn({ killed }, 'a process was killed: messages are handled one by one for a while')
    }
    cautious.set(this.isCautious('any partition that has not been seen') ? 1 : 0)
  }
}
