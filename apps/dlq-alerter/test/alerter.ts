import { fileURLToPath } from 'node:url'
import type { IncomingMessage, Pipeline } from '@edp/messaging'
import { createHealth, createLogger, type Database, openDatabase } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import { patient, templateDatabase, type TestDatabase } from '@edp/testkit'
import { openReads } from '../src/db/reads.ts'
import { addRoutes } from '../src/http.ts'
import { createIngest } from '../src/ingest.ts'
import { createRedriveLoop } from '../src/send-redrives.ts'

export const migrations = fileURLToPath(new URL('../migrations', import.meta.url))

/** An answer of the service, with its body as JSON. */
export interface Answer {
  readonly status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- what tests look into
  readonly body: any
  readonly location: string | null
}

/** A command that the service has put into its outbox. */
export interface Sent {
  readonly type: string
  readonly destination: string
  readonly payload: Record<string, unknown>
}

/** The alerter of one test file: its own database, its ingest, its routes and its loop, without brokers. */
export interface Alerter {
  readonly postgres: TestDatabase
  readonly database: Database
  /** Another process of the service, on connections of its own. */
  process(): Pipeline
  /** Takes messages in, each by the consumer of its broker. */
  take(messages: readonly IncomingMessage[]): Promise<void>
  request(method: string, path: string, body?: unknown): Promise<Answer>
  /** What was sent to a letter's service about it, in order. */
  sent(messageId: string): Promise<Sent[]>
  /** The counts of every group are those of its letters. */
  countsThatDiffer(): Promise<unknown[]>
  close(): Promise<void>
}

export async function openAlerter(options: { redrives?: boolean } = {}): Promise<Alerter> {
  const postgres = await templateDatabase({ role: 'dlq_alerter', migrations })
  const databases: Database[] = []
  const logger = createLogger('alerter-test', process.env['LOG_LEVEL'] ?? 'silent')
  const connect = (): Database => {
    const opened = openDatabase({
      url: postgres.serviceUrl,
      applicationName: 'alerter-test',
      ...patient,
    })
    databases.push(opened)
    return opened
  }
  const database = connect()
  const ingestOn = (of: Database): Pipeline => {
    const shared = { namespace: 'test', database: of, logger, inboxRetentionDays: 8 }
    const kafka = createIngest({ ...shared, consumer: 'dlq-alerter.kafka' })
    const rabbitmq = createIngest({ ...shared, consumer: 'dlq-alerter.rabbitmq' })
    return {
      ready: () => kafka.ready(),
      handle: async (batch) => {
        await kafka.handle(batch.filter(({ transport }) => transport === 'kafka'))
        await rabbitmq.handle(batch.filter(({ transport }) => transport === 'rabbitmq'))
      },
    }
  }
  const loop = createRedriveLoop({ database, namespace: 'test', logger })
  const http = await createHttpServer({
    name: 'dlq-alerter',
    logger,
    health: createHealth(),
    host: '127.0.0.1',
    port: 0,
  })
  addRoutes(http.app, {
    database,
    namespace: 'test',
    reads: openReads(database.reads),
    onRedrive: () => loop.poke(),
  })
  await http.component.start()
  if (options.redrives !== false) await loop.start()
  const pipeline = ingestOn(database)
  return {
    postgres,
    database,
    process: () => ingestOn(connect()),
    take: (messages) => pipeline.handle(messages),
    request: (method, path, body) => request(http.url(), { method, path, body }),
    sent: (messageId) => sent(postgres, messageId),
    countsThatDiffer: () => postgres.query(countsThatDiffer),
    close: async () => {
      await loop.stop()
      await http.component.stop()
      await Promise.all(databases.map((opened) => opened.end()))
      await postgres.drop()
    },
  }
}

export async function request(
  url: string,
  { method, path, body }: { method: string; path: string; body?: unknown },
): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  })
  return {
    status: response.status,
    body: await response.json(),
    location: response.headers.get('location'),
  }
}

async function sent(postgres: TestDatabase, messageId: string): Promise<Sent[]> {
  const rows = await postgres.query(
    `select type, destination, payload from outbox where key = $1 order by id`,
    [messageId],
  )
  return rows.map((row) => ({
    type: String(row['type']),
    destination: String(row['destination']),
    payload: row['payload'] as Record<string, unknown>,
  }))
}

const countsThatDiffer = `
  select g.group_id, g.open, g.redriving, g.resolved, g.archived, l.counted
  from letter_groups g
  left join lateral (
    select json_build_array(
      count(*) filter (where status = 'open'), count(*) filter (where status = 'redriving'),
      count(*) filter (where status = 'resolved'), count(*) filter (where status = 'archived')) as counted
    from letters l where l.group_id = g.group_id
  ) l on true
  where json_build_array(g.open, g.redriving, g.resolved, g.archived)::text <> l.counted::text`
