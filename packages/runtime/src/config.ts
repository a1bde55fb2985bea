import { z } from 'zod'
import { type FaultPoints, parseFaultPoints } from './fault-points.ts'
import { hidePasswords } from './logger.ts'

/** The environment does not fit the schema. The message lists every problem, one a line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`bad environment (${problems.length}):\n${problems.map((p) => `  ${p}`).join('\n')}`)
    this.problems = problems
  }
}

/** Reads the settings out of `env`, or throws one `ConfigError` that names every bad variable. */
export function readConfig<C>(
  schema: z.ZodType<C>,
  env: Readonly<Record<string, string | undefined>>,
): C {
  // An empty variable is how shells and compose files say "not set".
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  throw new ConfigError(parsed.error.issues.flatMap((issue) => describeIssue(issue, given)))
}

function describeIssue(
  issue: z.core.$ZodIssue,
  env: Readonly<Record<string, string | undefined>>,
): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => `${key}: is not known`)
  const variable = String(issue.path[0] ?? '(environment)')
  return [
    `${issue.path.join('.') || variable}: ${issue.message}, ${shown(variable, env[variable])}`,
  ]
}

function shown(variable: string, value: string | undefined): string {
  if (value === undefined) return 'but it is not set'
  if (/PASSWORD|SECRET|TOKEN|CREDENTIAL|WEBHOOK|_KEY$/.test(variable)) return 'given (hidden)'
  return `given "${hidePasswords(value)}"`
}

/**
 * A setting that is read from text: `parse` answers undefined for text that does not fit, and
 * `expected` says in the error message what would have.
 */
export function setting<T>(
  expected: string,
  parse: (text: string) => T | undefined,
): z.ZodType<T, string> {
  const error = `expected ${expected}`
  return z.string({ error }).transform((text, context) => {
    const value = parse(text.trim())
    if (value !== undefined) return value
    context.issues.push({ code: 'custom', message: error, input: text })
    return z.NEVER
  })
}

function wholeNumber(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined
  const value = Number(text)
  return value >= min && value <= max ? value : undefined
}

function urlOf(protocols: readonly string[]): (text: string) => string | undefined {
  return (text) => {
    if (!URL.canParse(text)) return undefined
    const url = new URL(text)
    return protocols.includes(url.protocol) && url.hostname !== '' ? text : undefined
  }
}

function brokers(text: string): string[] | undefined {
  const list = text.split(',').map((part) => part.trim())
  return list.every(isBroker) ? list : undefined
}

function isBroker(text: string): boolean {
  const [, brokerPort = ''] = /^[^\s:,/]+:(\d+)$/.exec(text) ?? []
  return wholeNumber(brokerPort, 1, 65_535) !== undefined
}

/** A TCP port. 0 lets the operating system choose. */
export const port = setting('a port from 0 to 65535', (text) => wholeNumber(text, 0, 65_535))

// A longer timer of Node's fires at once.
const timerMsMax = 2_147_483_647

/** A time span in milliseconds, not shorter than `min`. 0 is for what may not be waited for at all. */
export function millisecondsFrom(min: number): z.ZodType<number, string> {
  return setting(`a whole number of milliseconds from ${min} to ${timerMsMax}`, (text) =>
    wholeNumber(text, min, timerMsMax),
  )
}

/** A time span in milliseconds that has to pass: an interval, a time-out, a deadline. */
export const milliseconds = millisecondsFrom(1)

/** A whole number from 1. */
export const positiveInteger = setting('a whole number from 1', (text) =>
  wholeNumber(text, 1, Number.MAX_SAFE_INTEGER),
)

/** A number of days, not fewer than `min`. */
export function daysFrom(min: number): z.ZodType<number, string> {
  return setting(`a whole number of days, at least ${min}`, (text) =>
    wholeNumber(text, min, 99_999),
  )
}

/** `1` or `0`, `true` or `false`. */
export const flag = setting('1 or 0', (text) => {
  if (text === '1' || text === 'true') return true
  return text === '0' || text === 'false' ? false : undefined
})

/** The URL of a Postgres database. */
export const postgresUrl = setting('a postgres:// URL', urlOf(['postgres:', 'postgresql:']))

/** The URL of a RabbitMQ virtual host. */
export const amqpUrl = setting('an amqp:// or amqps:// URL', urlOf(['amqp:', 'amqps:']))

/** The URL of a Redis server. */
export const redisUrl = setting('a redis:// or rediss:// URL', urlOf(['redis:', 'rediss:']))

/** The URL of an SMTP server. */
export const smtpUrl = setting('an smtp:// or smtps:// URL', urlOf(['smtp:', 'smtps:']))

/** The URL of an HTTP server. */
export const httpUrl = setting('an http:// or https:// URL', urlOf(['http:', 'https:']))

/** `host:port,host:port`, as a list. */
export const brokerList = setting(
  'a comma-separated list of host:port, each port from 1 to 65535',
  brokers,
)

/** The prefix of every topic, queue and consumer group. */
export const namespace = setting('a name of a-z, 0-9 and -', (text) =>
  /^[a-z0-9-]+$/.test(text) ? text : undefined,
)

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

/** A level of the logger. */
export const logLevel = setting(`one of ${logLevels.join(', ')}`, (text) =>
  logLevels.find((level) => level === text),
)

const faultPoints = setting('NAME=kill|throw|pause:MS[@N], separated by ;', parseFaultPoints)

/** What every process reads. Spread it into the service's own `z.object`. */
export function processConfig(options: { httpPort: number }) {
  return {
    HTTP_HOST: z.string().default('127.0.0.1').describe('address to listen on'),
    HTTP_PORT: port.default(options.httpPort).describe('port to listen on'),
    LOG_LEVEL: logLevel.default('info').describe(logLevels.join(', ')),
    LOG_PRETTY: flag.default(false).describe('1 prints lines for people instead of JSON'),
    SHUTDOWN_TIMEOUT_MS: milliseconds
      .default(10_000)
      .describe('how long a stop may take before the process exits with 1'),
    SHUTDOWN_DELAY_MS: millisecondsFrom(0)
      .default(0)
      .describe('how long a stop first goes on working, so that a load balancer sees it coming'),
    FAULT_POINTS: faultPoints.optional().describe('faults to inject, for tests only'),
  }
}

/** What a process of `processConfig` has, whatever else it reads. */
export type ProcessSettings = {
  LOG_LEVEL: (typeof logLevels)[number]
  LOG_PRETTY: boolean
  SHUTDOWN_TIMEOUT_MS: number
  SHUTDOWN_DELAY_MS: number
  FAULT_POINTS?: FaultPoints | undefined
}

const messagingNamespace = namespace
  .default('edp')
  .describe('prefix of topics, queues and consumer groups')

/** What a process that talks to Kafka reads. */
export const kafkaConfig = {
  MESSAGING_NAMESPACE: messagingNamespace,
  KAFKA_BROKERS: brokerList.describe('host:port,host:port'),
}

/** What a process that talks to RabbitMQ reads. */
export const rabbitmqConfig = {
  MESSAGING_NAMESPACE: messagingNamespace,
  RABBITMQ_URL: amqpUrl.describe('amqp://user:password@host:port/vhost'),
}

/** What a process with a database of its own reads. */
export const databaseConfig = {
  DATABASE_URL: postgresUrl.describe('postgres://user:password@host:port/database'),
}

/** One line a setting: name, default, description. For `--help`. */
export function describeConfig(schema: z.ZodType): string {
  if (!isObjectSchema(schema)) return '(this schema does not list its settings)'
  const rows = Object.entries(schema.shape).map(([name, field]) => describeSetting(name, field))
  const nameWidth = Math.max(...rows.map((row) => row.name.length))
  const needWidth = Math.max(...rows.map((row) => row.need.length))
  return rows
    .map((row) => `  ${row.name.padEnd(nameWidth)}  ${row.need.padEnd(needWidth)}  ${row.about}`)
    .join('\n')
}

function isObjectSchema(schema: z.ZodType): schema is z.ZodObject<Record<string, z.ZodType>> {
  return schema instanceof z.ZodObject
}

function describeSetting(
  name: string,
  field: z.ZodType,
): { name: string; need: string; about: string } {
  const about = field.description ?? ''
  if (field instanceof z.ZodDefault) {
    return { name, need: `default ${String(field.def.defaultValue)}`, about }
  }
  return { name, need: field instanceof z.ZodOptional ? 'optional' : 'required', about }
}
