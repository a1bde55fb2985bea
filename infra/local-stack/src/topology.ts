/**
 * The apps of this repository, what each owns and how it is reached. A new app is one line here: the
 * stack then makes its database and roles, runs its `migrate` script and writes its settings.
 */
export type App = {
  /** The folder below apps/, the package's name without its scope. */
  name: string
  httpPort: number
  /** The database that it owns, if it has one. Its roles are called after the app. */
  database?: string
  /** Whether it talks to Kafka and RabbitMQ. */
  messaging: boolean
  /** Settings that only this app has. */
  settings?: (context: AppContext) => Record<string, string>
}

export type AppContext = {
  /** The database's address for the role of the relay. */
  relayUrl: (database: string) => string
  /** A folder that this app alone writes. */
  dataFolder: string
  /** Where RabbitMQ's management API answers. */
  rabbitmqManagementUrl: string
  redisUrl: string
  /** Where the mail sandbox takes e-mails. */
  smtpPort: number
}

const HOST = '127.0.0.1'
const GATEWAY_PORT = 7107

export const apps: readonly App[] = [
  { name: 'order-service', httpPort: 7101, database: 'orders', messaging: true },
  { name: 'inventory-service', httpPort: 7102, database: 'inventory', messaging: true },
  {
    name: 'payment-service',
    httpPort: 7103,
    database: 'payments',
    messaging: true,
    settings: () => ({ PAYMENT_GATEWAY_URL: `http://${HOST}:${GATEWAY_PORT}` }),
  },
  {
    name: 'outbox-relay',
    httpPort: 7104,
    messaging: true,
    settings: ({ relayUrl }) => ({
      OUTBOX_DATABASES: JSON.stringify(
        Object.fromEntries(databases().map(({ name }) => [name, relayUrl(name)])),
      ),
    }),
  },
  {
    name: 'dlq-alerter',
    httpPort: 7105,
    database: 'dead_letters',
    messaging: true,
    settings: ({ rabbitmqManagementUrl }) => ({
      RABBITMQ_MANAGEMENT_URL: rabbitmqManagementUrl,
      METRICS_URLS: JSON.stringify(Object.fromEntries(watched())),
    }),
  },
  { name: 'order-statistics', httpPort: 7108, database: 'statistics', messaging: true },
  {
    name: 'payment-gateway-sandbox',
    httpPort: GATEWAY_PORT,
    messaging: false,
    settings: ({ dataFolder }) => ({ LEDGER_FILE: `${dataFolder}/ledger.jsonl` }),
  },
  {
    name: 'notification-service',
    httpPort: 7106,
    database: 'notifications',
    messaging: true,
    settings: ({ redisUrl, smtpPort }) => ({
      REDIS_URL: redisUrl,
      SMTP_URL: `smtp://${HOST}:${smtpPort}`,
    }),
  },
  {
    name: 'smtp-sandbox',
    httpPort: 7026,
    messaging: false,
    settings: ({ dataFolder, smtpPort }) => ({
      SMTP_PORT: String(smtpPort),
      MAILS_FILE: `${dataFolder}/mails.jsonl`,
    }),
  },
]

// The sandboxes are outside the system.
function watched(): [string, string][] {
  return apps
    .filter(({ messaging }) => messaging)
    .map(({ name, httpPort }) => [name, `http://${HOST}:${httpPort}/metrics`])
}

/** The role that reads and deletes outbox rows in every database; migrations grant it its tables. */
export const RELAY_ROLE = 'relay'

/** A database with the role that owns and migrates it and the role that the service runs as. */
export type Database = { name: string; app: string; owner: string; service: string }

/** Every database that an app owns. */
export function databases(): Database[] {
  return apps.flatMap(({ name: app, database }) => {
    if (database === undefined) return []
    const service = app.replaceAll('-', '_')
    return [{ name: database, app, owner: `${service}_owner`, service }]
  })
}
