import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  ConfigError,
  databaseConfig,
  describeConfig,
  httpUrl,
  kafkaConfig,
  milliseconds,
  positiveInteger,
  processConfig,
  rabbitmqConfig,
  readConfig,
} from './config.ts'

const schema = z.object({
  ...processConfig({ httpPort: 7101 }),
  ...kafkaConfig,
  ...rabbitmqConfig,
  ...databaseConfig,
  POLL_INTERVAL_MS: milliseconds.default(20).describe('wait between polls'),
})

const valid = {
  KAFKA_BROKERS: '127.0.0.1:7092, broker-2:7092',
  RABBITMQ_URL: 'amqp://guest:guest@127.0.0.1:7672/',
  DATABASE_URL: 'postgres://orders:orders@127.0.0.1:7432/orders',
}

function configErrorOf(config: z.ZodType, env: Record<string, string | undefined>): ConfigError {
  try {
    readConfig(config, env)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('the environment was accepted')
}

function problemsOf(env: Record<string, string | undefined>): readonly string[] {
  return configErrorOf(schema, env).problems
}

test('settings are read, converted and defaulted', () => {
  expect(readConfig(schema, { ...valid, HTTP_PORT: '0', LOG_PRETTY: '1' })).toEqual({
    HTTP_HOST: '127.0.0.1',
    HTTP_PORT: 0,
    LOG_LEVEL: 'info',
    LOG_PRETTY: true,
    SHUTDOWN_TIMEOUT_MS: 10_000,
    SHUTDOWN_DELAY_MS: 0,
    MESSAGING_NAMESPACE: 'edp',
    KAFKA_BROKERS: ['127.0.0.1:7092', 'broker-2:7092'],
    RABBITMQ_URL: valid.RABBITMQ_URL,
    DATABASE_URL: valid.DATABASE_URL,
    POLL_INTERVAL_MS: 20,
  })
})

test('every problem is named at once: variable, what was expected, what was given', () => {
  const problems = problemsOf({
    HTTP_PORT: '70000',
    LOG_LEVEL: 'loud',
    SHUTDOWN_TIMEOUT_MS: '10s',
    SHUTDOWN_DELAY_MS: '99999999999',
    MESSAGING_NAMESPACE: 'Shop',
    RABBITMQ_URL: 'http://127.0.0.1',
    POLL_INTERVAL_MS: '0',
    FAULT_POINTS: 'relay.after-publish=explode',
  })
  expect(problems).toEqual([
    'HTTP_PORT: expected a port from 0 to 65535, given "70000"',
    'LOG_LEVEL: expected one of trace, debug, info, warn, error, fatal, silent, given "loud"',
    'SHUTDOWN_TIMEOUT_MS: expected a whole number of milliseconds from 1 to 2147483647, given "10s"',
    'SHUTDOWN_DELAY_MS: expected a whole number of milliseconds from 0 to 2147483647, ' +
      'given "99999999999"',
    'FAULT_POINTS: expected NAME=kill|throw|pause:MS[@N], separated by ;, ' +
      'given "relay.after-publish=explode"',
    'MESSAGING_NAMESPACE: expected a name of a-z, 0-9 and -, given "Shop"',
    'KAFKA_BROKERS: expected a comma-separated list of host:port, each port from 1 to 65535, ' +
      'but it is not set',
    'RABBITMQ_URL: expected an amqp:// or amqps:// URL, given "http://127.0.0.1"',
    'DATABASE_URL: expected a postgres:// URL, but it is not set',
    'POLL_INTERVAL_MS: expected a whole number of milliseconds from 1 to 2147483647, given "0"',
  ])
})

test('an empty variable counts as not set', () => {
  expect(readConfig(schema, { ...valid, HTTP_PORT: '' }).HTTP_PORT).toBe(7101)
  expect(problemsOf({ ...valid, DATABASE_URL: '' })).toEqual([
    'DATABASE_URL: expected a postgres:// URL, but it is not set',
  ])
})

test('no message shows a password or a secret', () => {
  const secrets = z.object({
    GATEWAY_TOKEN: positiveInteger,
    SLACK_WEBHOOK_URL: httpUrl,
    DATABASE_URL: databaseConfig.DATABASE_URL,
  })
  const env = {
    GATEWAY_TOKEN: 'hunter2',
    SLACK_WEBHOOK_URL: 'hooks.example/hunter2',
    DATABASE_URL: 'mysql://root:hunter2@db/orders',
  }
  const { message } = configErrorOf(secrets, env)
  expect(message).not.toContain('hunter2')
  expect(message).toContain('mysql://root:***@db/orders')
})

test.each(['1e3', '0x10', ' ', '-1', '1.5', '12abc', 'NaN'])('%j is no port', (text) => {
  expect(problemsOf({ ...valid, HTTP_PORT: text })).toHaveLength(1)
})

test.each([
  'broker',
  'broker:',
  ':7092',
  'a:1,,b:2',
  'kafka://a:1',
  'a:99999',
  'a:1,b:65536',
  'a:0',
])('%j is no list of brokers', (text) => {
  expect(problemsOf({ ...valid, KAFKA_BROKERS: text })).toHaveLength(1)
})

test('help names every setting with its default or need, and its description', () => {
  const help = describeConfig(schema)
  expect(help).toMatch(/HTTP_PORT +default 7101 +port to listen on/)
  expect(help).toMatch(/DATABASE_URL +required +postgres:/)
  expect(help).toMatch(/FAULT_POINTS +optional +faults to inject/)
  expect(help.split('\n')).toHaveLength(Object.keys(schema.shape).length)
})
