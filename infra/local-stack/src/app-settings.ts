import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Endpoints, Settings } from './settings.ts'
import { apps, databases, RELAY_ROLE, type App } from './topology.ts'

/** Of the mail sandbox, which `turbo dev` starts with the apps; it is no server of the stack. */
const SMTP_PORT = 7025

export type Variables = Readonly<Record<string, string>>

/** The settings of one app on these servers. */
export function settingsOf(app: App, endpoints: Endpoints, settings: Settings): Variables {
  const url = (role: string, database: string) =>
    databaseUrl(endpoints.postgresAdminUrl, { role, password: settings.password, database })
  const own = databases().find((database) => database.app === app.name)
  return {
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: String(app.httpPort),
    LOG_LEVEL: 'info',
    ...(own === undefined
      ? {}
      : {
          DATABASE_URL: url(own.service, own.name),
          MIGRATION_DATABASE_URL: url(own.owner, own.name),
        }),
    ...(app.messaging
      ? {
          KAFKA_BROKERS: endpoints.kafkaBrokers,
          RABBITMQ_URL: endpoints.rabbitmqUrl,
          MESSAGING_NAMESPACE: settings.namespace,
        }
      : {}),
    ...app.settings?.({
      relayUrl: (database) => url(RELAY_ROLE, database),
      dataFolder: join(settings.dir, 'data', app.name),
      rabbitmqManagementUrl: managementUrl(settings),
      redisUrl: endpoints.redisUrl,
      smtpPort: SMTP_PORT,
    }),
  }
}

/** The admin's address with another role and database; host, port and parameters such as sslmode stay. */
export function databaseUrl(
  adminUrl: string,
  { role, password, database }: { role: string; password: string; database: string },
): string {
  const url = new URL(adminUrl)
  url.username = role
  url.password = password
  url.pathname = `/${database}`
  return url.href
}

function managementUrl({ ports }: Settings): string {
  return `http://127.0.0.1:${ports.rabbitmqManagement}`
}

/** Writes `.stack/env/<app>.env` for each app, and `stack.env` for tests and tools. */
export function writeSettings(endpoints: Endpoints, settings: Settings): void {
  const folder = join(settings.dir, 'env')
  mkdirSync(folder, { recursive: true })
  for (const app of apps) {
    mkdirSync(join(settings.dir, 'data', app.name), { recursive: true })
    writeIfChanged(join(folder, `${app.name}.env`), settingsOf(app, endpoints, settings))
  }
  writeIfChanged(join(folder, 'stack.env'), {
    STACK_POSTGRES_ADMIN_URL: endpoints.postgresAdminUrl,
    KAFKA_BROKERS: endpoints.kafkaBrokers,
    RABBITMQ_URL: endpoints.rabbitmqUrl,
    REDIS_URL: endpoints.redisUrl,
    RABBITMQ_MANAGEMENT_URL: managementUrl(settings),
  })
}

/** Lines that both `node --env-file` and a POSIX shell read alike. */
export function environmentFile(variables: Variables): string {
  const lines = Object.entries(variables).map(([name, value]) => `${name}='${value}'\n`)
  return `# Written by \`pnpm stack up\`; changes are lost.\n${lines.join('')}`
}

/** An unchanged file keeps its time, so that a watching dev server does not restart. */
function writeIfChanged(path: string, variables: Variables): void {
  const text = environmentFile(variables)
  try {
    if (readFileSync(path, 'utf8') === text) return
  } catch {
    // Not there yet.
  }
  writeFileSync(path, text, { mode: 0o600 })
}
