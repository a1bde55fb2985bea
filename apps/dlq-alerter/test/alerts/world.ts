import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { newMessageId } from '@edp/event-schemas'
import {
  createHealth,
  createLogger,
  type Database,
  openDatabase,
  readConfig,
  statement,
} from '@edp/runtime'
import { stack, templateDatabase, type TestDatabase, uniqueNamespace, waitFor } from '@edp/testkit'
import { z } from 'zod'
import { type Alerting, createAlerting } from '../../src/alerts/alerting.ts'
import { config } from '../../src/config.ts'
import { createReceiver, type Receiver } from './receiver.ts'

/** The tables, a receiver, and as many alerters as a test starts. */
export interface World {
  readonly db: TestDatabase
  readonly database: Database
  readonly namespace: string
  readonly receiver: Receiver
  /** The environment of an alerter whose webhook is the receiver, with short times. */
  env(overrides?: Record<string, string>): Record<string, string>
  start(overrides?: Record<string, string>): Promise<Alerting>
  /** Letters of one group come in, in one transaction. */
  letters(groupId: string, count: number): Promise<void>
  /** The same of many groups, so many letters of each. */
  lettersOf(groupIds: readonly string[], count: number): Promise<void>
  /** All letters of all groups are settled, and a while ago. */
  settle(): Promise<void>
  /** Waits until this has been told on the webhook, in any order, and nothing else. */
  untilTold(...what: string[]): Promise<void>
  /** Stops the alerters and forgets everything. */
  clear(): Promise<void>
  close(): Promise<void>
}

const migrations = fileURLToPath(new URL('../../migrations', import.meta.url))

const insertLetters = statement(
  'test_insert_letters',
  z.object({ letters: z.int() }),
  `with grown as (
     insert into letter_groups (group_id, fingerprint, consumer, type, reason, error_code, error_message,
       open, redriving, resolved, archived, first_seen_at, last_seen_at)
     values ($1, 'f', 'inventory-service.kafka', 'order.placed.v1', 'poison', 'invalid-body', 'lines: expected an array',
       cardinality($2::uuid[]), 0, 0, 0, now(), now())
     on conflict (group_id) do update set open = letter_groups.open + excluded.open, last_seen_at = now()
     returning group_id
   ), inserted as (
     insert into letters (letter_id, consumer, message_id, group_id, source, position, coordination, reason, error_code,
       error_message, attempts, first_failed_at, last_failed_at, fingerprint, status, headers, body, encoding, bytes, fact_at)
     select id, 'inventory-service.kafka', id, $1, 'kafka', 't/0@1', 'choreographed', 'poison', 'invalid-body',
       'lines: expected an array', 0, now(), now(), 'f', 'open', '{}', '', 'utf8', 0, now()
     from unnest($2::uuid[]) as id
     returning 1
   )
   select count(*)::int as letters from inserted, grown`,
)

/** Makes a world on the local servers. */
export async function createWorld(): Promise<World> {
  const db = await templateDatabase({ role: 'dlq_alerter', migrations })
  const database = openDatabase({ url: db.serviceUrl, applicationName: 'test', poolMax: 4 })
  const receiver = await createReceiver()
  const namespace = uniqueNamespace()
  const running: Alerting[] = []
  const env = (overrides: Record<string, string> = {}) => ({
    DATABASE_URL: db.serviceUrl,
    KAFKA_BROKERS: stack().kafkaBrokers.join(','),
    RABBITMQ_URL: stack().rabbitmqUrl,
    MESSAGING_NAMESPACE: namespace,
    METRICS_URLS: '{}',
    ALERT_WEBHOOK_URL: receiver.url,
    ALERT_EVALUATE_INTERVAL_MS: '20',
    ALERT_RESOLVE_AFTER_MS: '100',
    ALERT_READ_INTERVAL_MS: '50',
    ALERT_HOLD_MS: '200',
    ALERT_UNREADABLE_MS: '200',
    // Longer than a busy machine may take: what was not answered in time is told again, and what cannot be read is told too.
    ALERT_ATTEMPT_TIMEOUT_MS: '3000',
    ALERT_READ_TIMEOUT_MS: '30000',
    ...overrides,
  })
  const stopAll = async (): Promise<void> => {
    for (const one of running.splice(0)) await one.stop()
  }
  const lettersOf = async (groupIds: readonly string[], count: number): Promise<void> => {
    await database.transaction(async (tx) => {
      for (const groupId of groupIds) {
        const ids = Array.from({ length: count }, () => newMessageId())
        void tx.run(insertLetters, [groupId, ids])
      }
    })
  }
  return {
    db,
    database,
    namespace,
    receiver,
    env,
    async start(overrides = {}) {
      const alerting = createAlerting({
        settings: readConfig(config, env(overrides)),
        database,
        logger: createLogger('test', process.env['LOG_LEVEL'] ?? 'silent'),
        health: createHealth(),
      })
      running.push(alerting)
      await alerting.start()
      return alerting
    },
    letters: (groupId, count) => lettersOf([groupId], count),
    lettersOf,
    async settle() {
      await db.query(
        `with gone as (delete from letters)
         update letter_groups set resolved = resolved + open, open = 0`,
      )
    },
    async untilTold(...what) {
      const wanted = what.toSorted()
      await waitFor(() => receiver.told().toSorted(), {
        message: `${what.join(', ')} told`,
        until: (told) => JSON.stringify(told) === JSON.stringify(wanted),
      })
    },
    async clear() {
      await stopAll()
      await db.query(
        'truncate alerts, notifications, channel_pauses, alerting_lease, letters, letter_groups',
      )
      await receiver.close()
      receiver.received.length = 0
      receiver.answerWith((response) => response.end())
      await receiver.open()
    },
    async close() {
      await stopAll()
      await receiver.close()
      await database.end()
      await db.drop()
    },
  }
}

/** A group's id. */
export const newGroupId = (): string => randomUUID()
