import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { declareTopology, deleteTopics, deleteTopology, ensureTopics } from '@edp/messaging'
import { topics } from '@edp/event-schemas'
import { migrate } from '@edp/runtime/migrate'
import { Redis } from 'ioredis'
import pg from 'pg'
import { z } from 'zod'
import { type AppName, AppProcess, appNames, freePort } from './app-process.ts'
import type { DatabaseUrls } from './books.ts'
import type { ReachableSystem } from './reachable-system.ts'
import { readStackEnv, repositoryRoot, runDirectory, stackSetting } from './stack-settings.ts'

/** The services that have a database, with its name in a normal deployment. */
export const databaseOf = {
  'order-service': 'orders',
  'inventory-service': 'inventory',
  'payment-service': 'payments',
  'notification-service': 'notifications',
  'dlq-alerter': 'dead_letters',
  'order-statistics': 'statistics',
} as const
type DatabaseOwner = keyof typeof databaseOf
const databaseOwners = [
  'order-service',
  'inventory-service',
  'payment-service',
  'notification-service',
  'dlq-alerter',
  'order-statistics',
] as const
const urlsByName = z.record(z.string(), z.string())

/**
 * All apps as processes, with databases, topics, queues, ports and a ledger of their own, so that a run neither sees nor disturbs
 * what else uses the local stack.
 */
export interface System extends ReachableSystem {
  readonly name: string
  readonly apps: Readonly<Record<AppName, AppProcess>>
  readonly kafkaBrokers: string[]
  readonly rabbitmqUrl: string
  readonly logDirectory: string
  /** A further process of an app, on a port of its own, built in this or another folder; not started yet. */
  replica(app: AppName, folder?: string): Promise<AppProcess>
  /** Ends every process, first those that take work in, and removes the databases, topics and queues. @returns the exit codes */
  stop(): Promise<Record<string, number | null>>
}

/**
 * Starts every app, or only those in `started`, on the running local stack and waits until they are ready. `env` is added to
 * the environment of an app.
 * @throws Error with the log of the app that did not start
 */
export async function startSystem(
  name: string,
  env: Partial<Record<AppName, Record<string, string>>> = {},
  started: readonly AppName[] = appNames,
): Promise<System> {
  const plan = await planSystem(name, env)
  await Promise.all([
    createDatabases(plan),
    ensureTopics({ brokers: plan.kafkaBrokers, namespace: name, topics }),
    declareTopology({ url: plan.rabbitmqUrl, namespace: name }),
  ])
  const processes: AppProcess[] = []
  const launch = (app: AppName, port: number, folder = repositoryRoot): AppProcess => {
    const logFile = join(plan.logDirectory, `${app}-${port}.log`)
    const process = new AppProcess({ app, env: plan.envOf(app, port), logFile, folder })
    processes.push(process)
    return process
  }
  const apps = mapApps((app) => launch(app, plan.ports[app]))
  const stop = async (): Promise<Record<string, number | null>> => {
    const codes = await stopAll(processes)
    await dropDatabases(plan)
    await deleteTopics({ brokers: plan.kafkaBrokers, namespace: name, topics })
    await deleteTopology({ url: plan.rabbitmqUrl, namespace: name })
    await deleteJobs(name)
    return codes
  }
  try {
    for (const app of started) apps[app].start()
    await Promise.all(started.map((app) => apps[app].ready()))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name,
    apps,
    urls: mapApps((app) => apps[app].url),
    databases: plan.databases,
    deadLettersDatabase: plan.deadLettersDatabase,
    notificationsDatabase: plan.notificationsDatabase,
    gatewayUrl: apps['payment-gateway-sandbox'].url,
    kafkaBrokers: plan.kafkaBrokers,
    rabbitmqUrl: plan.rabbitmqUrl,
    logDirectory: plan.logDirectory,
    replica: async (app, folder) => launch(app, await freePort(), folder),
    stop,
  }
}

interface Plan {
  ports: Record<AppName, number>
  kafkaBrokers: string[]
  rabbitmqUrl: string
  /** As administrator, for the books and for tests. */
  databases: Required<DatabaseUrls>
  deadLettersDatabase: string
  notificationsDatabase: string
  migrationUrls: Record<DatabaseOwner, string>
  databaseNames: string[]
  adminUrl: string
  logDirectory: string
  envOf(app: AppName, port: number): Record<string, string>
}

// The sandboxes are outside the system.
function metricsUrls({
  'payment-gateway-sandbox': _gateway,
  'smtp-sandbox': _mails,
  ...ports
}: Record<AppName, number>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ports).map(([app, port]) => [app, `http://127.0.0.1:${port}/metrics`]),
  )
}

async function planSystem(
  name: string,
  extra: Partial<Record<AppName, Record<string, string>>>,
): Promise<Plan> {
  const logDirectory = runDirectory(name)
  rmSync(logDirectory, { recursive: true, force: true })
  const ports = await choosePorts()
  const smtpPort = await freePort()
  const adminUrl = stackSetting('stack', 'STACK_POSTGRES_ADMIN_URL')
  const own = (database: string): string => `${name}_${database}`.replaceAll('-', '_')
  const urlOf = (app: DatabaseOwner, key: string): string =>
    withDatabase(stackSetting(app, key), own(databaseOf[app]))
  const relayUrls = Object.entries(
    urlsByName.parse(JSON.parse(stackSetting('outbox-relay', 'OUTBOX_DATABASES'))),
  ).map(([database, url]) => [database, withDatabase(url, own(database))])
  const overrides: Record<AppName, Record<string, string>> = {
    'order-service': { DATABASE_URL: urlOf('order-service', 'DATABASE_URL') },
    'inventory-service': { DATABASE_URL: urlOf('inventory-service', 'DATABASE_URL') },
    'payment-service': {
      DATABASE_URL: urlOf('payment-service', 'DATABASE_URL'),
      PAYMENT_GATEWAY_URL: `http://127.0.0.1:${ports['payment-gateway-sandbox']}`,
    },
    'notification-service': {
      DATABASE_URL: urlOf('notification-service', 'DATABASE_URL'),
      SMTP_URL: `smtp://127.0.0.1:${smtpPort}`,
    },
    'smtp-sandbox': {
      SMTP_PORT: String(smtpPort),
      MAILS_FILE: join(logDirectory, 'mails.jsonl'),
    },
    'dlq-alerter': {
      DATABASE_URL: urlOf('dlq-alerter', 'DATABASE_URL'),
      METRICS_URLS: JSON.stringify(metricsUrls(ports)),
    },
    'order-statistics': { DATABASE_URL: urlOf('order-statistics', 'DATABASE_URL') },
    'outbox-relay': { OUTBOX_DATABASES: JSON.stringify(Object.fromEntries(relayUrls)) },
    'payment-gateway-sandbox': { LEDGER_FILE: join(logDirectory, 'ledger.jsonl') },
  }
  return {
    ports,
    adminUrl,
    logDirectory,
    kafkaBrokers: stackSetting('stack', 'KAFKA_BROKERS').split(','),
    rabbitmqUrl: stackSetting('stack', 'RABBITMQ_URL'),
    databaseNames: Object.values(databaseOf).map(own),
    databases: databaseUrls((database) => withDatabase(adminUrl, own(database))),
    deadLettersDatabase: withDatabase(adminUrl, own('dead_letters')),
    notificationsDatabase: withDatabase(adminUrl, own('notifications')),
    migrationUrls: {
      'order-service': urlOf('order-service', 'MIGRATION_DATABASE_URL'),
      'inventory-service': urlOf('inventory-service', 'MIGRATION_DATABASE_URL'),
      'payment-service': urlOf('payment-service', 'MIGRATION_DATABASE_URL'),
      'notification-service': urlOf('notification-service', 'MIGRATION_DATABASE_URL'),
      'dlq-alerter': urlOf('dlq-alerter', 'MIGRATION_DATABASE_URL'),
      'order-statistics': urlOf('order-statistics', 'MIGRATION_DATABASE_URL'),
    },
    envOf: (app, port) => ({
      ...readStackEnv(app),
      ...overrides[app],
      MESSAGING_NAMESPACE: name,
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: String(port),
      ...extra[app],
    }),
  }
}

/** Those of the books. */
export function databaseUrls(urlOf: (database: string) => string): Required<DatabaseUrls> {
  return {
    orders: urlOf('orders'),
    inventory: urlOf('inventory'),
    payments: urlOf('payments'),
    statistics: urlOf('statistics'),
  }
}

async function choosePorts(): Promise<Record<AppName, number>> {
  const ports: number[] = []
  while (ports.length < appNames.length) ports.push(await freePort())
  return mapApps((app) => ports[appNames.indexOf(app)] ?? 0)
}

/** A value for each app. */
export function mapApps<Value>(make: (app: AppName) => Value): Record<AppName, Value> {
  return {
    'payment-gateway-sandbox': make('payment-gateway-sandbox'),
    'order-service': make('order-service'),
    'inventory-service': make('inventory-service'),
    'payment-service': make('payment-service'),
    'notification-service': make('notification-service'),
    'smtp-sandbox': make('smtp-sandbox'),
    'dlq-alerter': make('dlq-alerter'),
    'order-statistics': make('order-statistics'),
    'outbox-relay': make('outbox-relay'),
  }
}

/** The same server, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

// What takes work in goes first, so that the others can finish it; the relay goes last and leaves an empty outbox. Those of a line stop
// together.
const stopOrder: readonly (readonly AppName[])[] = [
  ['order-service'],
  [
    'inventory-service',
    'payment-service',
    'notification-service',
    'order-statistics',
    'dlq-alerter',
  ],
  ['payment-gateway-sandbox', 'smtp-sandbox'],
  ['outbox-relay'],
]

async function stopAll(processes: readonly AppProcess[]): Promise<Record<string, number | null>> {
  const codes: Record<string, number | null> = {}
  for (const apps of stopOrder) await Promise.all(apps.map((app) => stopApp(app, processes, codes)))
  return codes
}

async function stopApp(
  app: AppName,
  processes: readonly AppProcess[],
  codes: Record<string, number | null>,
): Promise<void> {
  const ofApp = processes.filter((process) => process.app === app && process.running)
  for (const process of ofApp) process.signal('SIGCONT')
  for (const [index, code] of (await Promise.all(ofApp.map((one) => one.stop()))).entries()) {
    codes[index === 0 ? app : `${app}-${index + 1}`] = code
  }
}

// All at once, and migrated in this process: one for each app takes longer than all of its migrations.
async function createDatabases(plan: Plan): Promise<void> {
  await Promise.all(databaseOwners.map((app) => createDatabase(plan, app)))
}

async function createDatabase(plan: Plan, app: DatabaseOwner): Promise<void> {
  const url = new URL(plan.migrationUrls[app])
  await asAdmin(plan.adminUrl, async (client) => {
    const database = client.escapeIdentifier(url.pathname.slice(1))
    const owner = client.escapeIdentifier(decodeURIComponent(url.username))
    await client.query(`drop database if exists ${database} with (force)`)
    await client.query(`create database ${database} owner ${owner}`)
  })
  await migrate({ url: url.href, folder: join(repositoryRoot, 'apps', app, 'migrations') })
}

async function dropDatabases(plan: Plan): Promise<void> {
  await asAdmin(plan.adminUrl, async (client) => {
    for (const name of plan.databaseNames) {
      await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`)
    }
  })
}

// Whatever BullMQ keeps is below the namespace.
async function deleteJobs(namespace: string): Promise<void> {
  const redis = new Redis(stackSetting('stack', 'REDIS_URL'))
  try {
    for await (const keys of redis.scanStream({ match: `${namespace}:*`, count: 1000 })) {
      const names = z.array(z.string()).parse(keys)
      if (names.length > 0) await redis.unlink(...names)
    }
  } finally {
    redis.disconnect()
  }
}

async function asAdmin(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
