import { describe, expect, it } from 'vitest'
import { databaseUrl, environmentFile, settingsOf } from './app-settings.ts'
import { addressesOf } from './external.ts'
import { localEndpoints, readSettings } from './settings.ts'
import { apps } from './topology.ts'

const settings = readSettings({}, '/repo')
const endpoints = localEndpoints(settings)

function settingsByName(name: string) {
  const app = apps.find((candidate) => candidate.name === name)
  if (app === undefined) throw new Error(`no app ${name}`)
  return settingsOf(app, endpoints, settings)
}

describe('settingsOf', () => {
  it('connects a service as itself and its migrations as the owner', () => {
    expect(settingsByName('order-service')).toEqual({
      HTTP_HOST: '127.0.0.1',
      HTTP_PORT: '7101',
      LOG_LEVEL: 'info',
      DATABASE_URL: 'postgres://order_service:edp@127.0.0.1:7432/orders',
      MIGRATION_DATABASE_URL: 'postgres://order_service_owner:edp@127.0.0.1:7432/orders',
      KAFKA_BROKERS: '127.0.0.1:7092',
      RABBITMQ_URL: 'amqp://edp:edp@127.0.0.1:7672',
      MESSAGING_NAMESPACE: 'edp',
    })
  })

  it('gives the relay every database, as its own role', () => {
    expect(JSON.parse(settingsByName('outbox-relay')['OUTBOX_DATABASES'] ?? '')).toEqual({
      orders: 'postgres://relay:edp@127.0.0.1:7432/orders',
      inventory: 'postgres://relay:edp@127.0.0.1:7432/inventory',
      payments: 'postgres://relay:edp@127.0.0.1:7432/payments',
      dead_letters: 'postgres://relay:edp@127.0.0.1:7432/dead_letters',
      notifications: 'postgres://relay:edp@127.0.0.1:7432/notifications',
      statistics: 'postgres://relay:edp@127.0.0.1:7432/statistics',
    })
  })

  it('tells the alerter where the figures of every service and of RabbitMQ are', () => {
    const { METRICS_URLS, RABBITMQ_MANAGEMENT_URL } = settingsByName('dlq-alerter')
    expect(JSON.parse(METRICS_URLS ?? '')).toEqual({
      'order-service': 'http://127.0.0.1:7101/metrics',
      'inventory-service': 'http://127.0.0.1:7102/metrics',
      'payment-service': 'http://127.0.0.1:7103/metrics',
      'outbox-relay': 'http://127.0.0.1:7104/metrics',
      'dlq-alerter': 'http://127.0.0.1:7105/metrics',
      'notification-service': 'http://127.0.0.1:7106/metrics',
      'order-statistics': 'http://127.0.0.1:7108/metrics',
    })
    expect(RABBITMQ_MANAGEMENT_URL).toBe('http://127.0.0.1:7673')
  })
})

describe('databaseUrl', () => {
  it('keeps host and parameters of the administrator', () => {
    expect(
      databaseUrl('postgres://admin:s%40@db.example:5433/postgres?sslmode=require', {
        role: 'relay',
        password: 'edp',
        database: 'orders',
      }),
    ).toBe('postgres://relay:edp@db.example:5433/orders?sslmode=require')
  })
})

describe('environmentFile', () => {
  it('quotes values, so that JSON survives a shell', () => {
    expect(environmentFile({ A: '{"b":"c d"}' })).toMatch(/^A='\{"b":"c d"\}'$/m)
  })
})

describe('addressesOf', () => {
  it('knows the default ports, and asks the first of several brokers', () => {
    const addresses = addressesOf({
      postgresAdminUrl: 'postgres://admin@db.example/postgres',
      kafkaBrokers: 'a.example:9094, b.example:9094',
      rabbitmqUrl: 'amqps://mq.example/vhost',
      redisUrl: 'redis://cache.example',
    })
    expect(addresses.map(({ host, port }) => `${host}:${port}`)).toEqual([
      'db.example:5432',
      'a.example:9094',
      'mq.example:5671',
      'cache.example:6379',
    ])
  })
})
