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
import { killsOf, type Mark } from './suspects.ts'
import { Turns } from './turns.ts'

/** How often processes may be killed over a message that they handle alone before it is dead. */
export const killsMax = 3

const cautious = gauge(
  'edp_consumer_cautious',
  '1 while batches are marked before they are handled, since a process may have been killed',
)

/** Messages of a consumer that are handled at once, as the inbox knows them. */
export interface Group {
  readonly consumer: string
  readonly messageIds: readonly string[]
}

export interface ConsumerRunsOptions {
  consumers: readonly string[]
  database: Pick<Database, 'transaction'>
  logger: Logger
  /** Default 2 s. */
  heartbeatIntervalMs?: number
  /** Silence after which a process counts as killed; default 8 s, so that three heartbeats may fail. */
  staleAfterMs?: number
  /**
   * How long batches are marked after another process was killed, or after this one found that when it started; default 2 minutes.
   * What the other had in hand comes again within seconds, when Kafka has given its partitions away. When it comes later and kills
   * unmarked, that begins anew.
   */
  cautionMs?: number
}

// As long as whoever starts a process again may wait for it, with the backoff; and a person, when that has given up.
const unmarkedKeptMs = 10 * 60 * 1000
const markedKeptMs = 24 * 60 * 60 * 1000

// Made again when it is gone: somebody may have taken a process that was stopped for a long time for dead.
const heartbeat = statement(
  'consumer_run_heartbeat',
  noRow,
  `insert into consumer_run (consumer, instance)
   select consumer, $2 from unnest($1::text[]) as c (consumer) order by consumer
   on conflict (consumer, instance) do update set heartbeat_at = clock_timestamp()`,
)

// Killed, for all that is known: not heard of since this process started, or for long. The former finds out at once that a process
// was killed and started again, and lasts for one interval when the others are well.
const isSilent = `d.heartbeat_at < greatest(m.started_at, clock_timestamp() - $3::float8 * interval '1 millisecond')`

const findSilent = statement(
  'consumer_run_silent',
  z.object({ instance: z.string() }),
  `select distinct d.instance from consumer_run m join consumer_run d on d.consumer = m.consumer
   where m.consumer = any ($1::text[]) and m.instance = $2 and d.instance <> $2 and ${isSilent}
     and greatest(m.started_at, d.heartbeat_at) > clock_timestamp() - $4::float8 * interval '1 millisecond'`,
)

const forget = statement(
  'consumer_run_forget',
  noRow,
  `delete from consumer_run
   where consumer = any ($1::text[]) and heartbeat_at < clock_timestamp()
     - case when marked_message_ids is null then $2::float8 else $3::float8 end * interval '1 millisecond'`,
)

const end = statement(
  'consumer_run_end',
  noRow,
  'delete from consumer_run where consumer = any ($1::text[]) and instance = $2',
)

// It need not survive a crash of Postgres, only ours.
const relax = statement('consumer_run_relax', noRow, 'set local synchronous_commit = off')

// Once all messages of a group are in the inbox nothing of it comes again. Each mark costs 10 ms for each 1000 ids of another one that
// it is compared with (measured), so it is not left to `forget`. One message stays: it may be parked, and killing still.
const resolve = statement(
  'consumer_run_resolve',
  noRow,
  `delete from consumer_run r
   where consumer = any ($1::text[]) and cardinality(marked_message_ids) > 1
     and heartbeat_at < clock_timestamp() - $2::float8 * interval '1 millisecond'
     and not exists (
       select from unnest(r.marked_message_ids) as m (id)
       where not exists (select from inbox i where i.message_id = m.id and i.consumer = r.consumer)
     )`,
)

// Over all consumers, sorted like the heartbeat: what the process handled for another one it has ended.
const mark = statement(
  'consumer_run_mark',
  noRow,
  `insert into consumer_run (consumer, instance, marked_message_ids)
   select consumer, $2, case when consumer = $3 then $4::uuid[] end
   from unnest($1::text[]) as c (consumer) order by consumer
   on conflict (consumer, instance) do update
     set marked_message_ids = excluded.marked_message_ids, heartbeat_at = clock_timestamp()`,
)

const readMarks = statement(
  'consumer_run_marks',
  z.object({ marked_message_ids: z.array(z.string()), is_silent: z.boolean() }),
  `select d.marked_message_ids, ${isSilent} as is_silent
   from consumer_run m join consumer_run d on d.consumer = m.consumer
   where m.consumer = $1 and m.instance = $2 and d.instance <> $2
     and d.marked_message_ids && m.marked_message_ids`,
)

// Of one that lives after all, too: it makes its row again.
const acquit = statement(
  'consumer_run_acquit',
  noRow,
  `delete from consumer_run
   where consumer = $1 and marked_message_ids = $2::uuid[] and instance <> $3`,
)

/**
 * The processes of a service's consumers, as they know of each other. Each has a row with a heartbeat, which a clean stop deletes: a
 * row whose heartbeat has ended tells of a process that was killed, maybe by a message. Whoever finds one is cautious for a while: it
 * handles one group of messages at a time, and marks it before, in a transaction of its own. A process that is killed leaves the mark.
 * `suspects.ts` says what follows from it.
 */
export class ConsumerRuns implements Component {
  readonly name = 'consumer runs'
  readonly #options: Required<ConsumerRunsOptions>
  readonly #instance = randomUUID()
  readonly #turns = new Turns()
  readonly #loop: Loop
  #registered: Promise<void> | undefined
  #isCautious = false
  #isMarked = false
  #unmarked: Promise<void> | undefined

  constructor(options: ConsumerRunsOptions) {
    const { heartbeatIntervalMs = 2000, staleAfterMs = 8000, cautionMs = 120_000 } = options
    this.#options = { ...options, heartbeatIntervalMs, staleAfterMs, cautionMs }
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
    // Those that are under way would make the rows again.
    await this.#registered?.catch(() => undefined)
    await this.#unmarked
    const { database, consumers, logger } = this.#options
    try {
      await database.transaction((tx) => tx.execute(end, [consumers, this.#instance]))
    } catch (error) {
      logger.warn({ err: error }, 'a clean stop was not noted')
    }
  }

  /**
   * Resolves when this process is known and knows whether another one was killed: then it may handle messages.
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

  /** Whether messages are to be marked, since one of them may kill. */
  get isCautious(): boolean {
    return this.#isCautious
  }

  /** Handles messages as usual: beside others, but never beside those that are marked. */
  together<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.together(work)
  }

  /**
   * Marks messages and handles them, or some of them, while this process handles nothing else. `work` is told in which groups other
   * processes have marked them. Once it has resolved, those who were killed over a group of one count no more.
   */
  marked<T>(group: Group, work: (marks: readonly Mark[]) => Promise<T>): Promise<T> {
    return this.#turns.alone(async () => {
      const marks = await this.#mark(group)
      const result = await work(marks)
      if (killsOf(group.messageIds, marks) > 0) await this.#acquit(group)
      return result
    })
  }

  async #mark({ consumer, messageIds }: Group): Promise<Mark[]> {
    const { database, consumers, staleAfterMs } = this.#options
    this.#isMarked = true
    const rows = await database.transaction((tx) => {
      void tx.execute(relax)
      void tx.execute(mark, [consumers, this.#instance, consumer, messageIds])
      return tx.run(readMarks, [consumer, this.#instance, staleAfterMs])
    })
    return rows.map((row) => ({ messageIds: row.marked_message_ids, isSilent: row.is_silent }))
  }

  /** It is over with the message, in whatever way. */
  async #acquit({ consumer, messageIds }: Group): Promise<void> {
    const { database } = this.#options
    await database.transaction((tx) => tx.execute(acquit, [consumer, messageIds, this.#instance]))
  }

  async #beat(): Promise<void> {
    const { database, consumers, staleAfterMs, cautionMs, logger } = this.#options
    const rows = await database.transaction((tx) => {
      void tx.execute(relax)
      void tx.execute(heartbeat, [consumers, this.#instance])
      void tx.execute(forget, [consumers, unmarkedKeptMs, markedKeptMs])
      void tx.execute(resolve, [consumers, staleAfterMs])
      return tx.run(findSilent, [consumers, this.#instance, staleAfterMs, cautionMs])
    })
    const silent = rows.map(({ instance }) => instance)
    if (silent.length > 0 && !this.#isCautious) {
      logger.warn({ silent }, 'a process is silent, maybe killed: batches are marked for a while')
    }
    this.#isCautious = silent.length > 0
    cautious.set(this.#isCautious ? 1 : 0)
    if (this.#isMarked) this.#unmarked ??= this.#unmark()
  }

  /**
   * Nothing is handled any more of what was marked last. Here and not after each batch, which would cost it one more commit: until then
   * the mark is of messages that are done with. In a turn of its own, so that it takes back no mark of a group that is being handled;
   * the heartbeat does not wait for that.
   */
  async #unmark(): Promise<void> {
    const { database, consumers, logger } = this.#options
    await this.#turns.alone(async () => {
      try {
        await database.transaction((tx) => {
          void tx.execute(relax)
          return tx.execute(mark, [consumers, this.#instance, null, null])
        })
        this.#isMarked = false
      } catch (error) {
        logger.warn({ err: error }, 'a mark was not taken back, the next heartbeat tries again')
      }
    })
    this.#unmarked = undefined
  }
}
