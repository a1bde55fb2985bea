import { resolve } from 'node:path'
import { z } from 'zod'
import { StackError } from './stack-error.ts'

/** Where the four servers answer, for whoever prepares or tests them. */
export type Endpoints = {
  postgresAdminUrl: string
  kafkaBrokers: string
  rabbitmqUrl: string
  redisUrl: string
}

export type Way = 'external' | 'docker' | 'native'

export type Ports = {
  postgres: number
  kafka: number
  kafkaController: number
  rabbitmq: number
  rabbitmqManagement: number
  rabbitmqEpmd: number
  rabbitmqDistribution: number
  redis: number
}

export type Settings = {
  /** The repository's root. */
  root: string
  /** Data, logs, pids and written settings. */
  dir: string
  /** The way that STACK asks for, if it does. */
  way: Way | undefined
  ports: Ports
  /** The password of every local role, a documented development default. */
  password: string
  namespace: string
  external: Endpoints | undefined
  /** Whether operating system packages may be installed; undefined: only as root. */
  install: boolean | undefined
  /** What the JVM of a native Kafka is given besides our own options. */
  kafkaJavaOptions: readonly string[]
}

const port = (byDefault: number) =>
  z
    .string()
    .regex(/^\d{2,5}$/, 'must be a port number')
    .transform(Number)
    .refine((value) => value < 65_536, 'must be below 65536')
    .default(byDefault)

const environment = z.object({
  STACK: z.enum(['external', 'docker', 'native']).optional(),
  STACK_DIR: z.string().optional(),
  STACK_INSTALL: z.enum(['yes', 'no']).optional(),
  STACK_PASSWORD: z
    .string()
    .regex(/^[\w-]+$/, 'may hold letters, digits, _ and -')
    .default('edp'),
  STACK_POSTGRES_PORT: port(7432),
  STACK_KAFKA_PORT: port(7092),
  STACK_KAFKA_JAVA_OPTIONS: z
    .string()
    .regex(/^-\S+(\s+-\S+)*$/, 'must be options that begin with -, with spaces between them')
    .optional(),
  STACK_RABBITMQ_PORT: port(7672),
  STACK_RABBITMQ_MANAGEMENT_PORT: port(7673),
  STACK_REDIS_PORT: port(7379),
  STACK_POSTGRES_ADMIN_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  KAFKA_BROKERS: z.string().optional(),
  RABBITMQ_URL: z.url({ protocol: /^amqps?$/ }).optional(),
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  MESSAGING_NAMESPACE: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, 'must be lower case letters, digits and -')
    .default('edp'),
})

/** Reads the settings from the environment; names every problem at once. */
export function readSettings(env: NodeJS.ProcessEnv, root: string): Settings {
  // An empty value is what `NAME= pnpm stack up` and empty CI variables mean by "not set".
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''))
  const parsed = environment.safeParse(given)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new StackError(`The environment is not valid:\n  ${problems.join('\n  ')}`)
  }
  const values = parsed.data
  return {
    root,
    dir: values.STACK_DIR === undefined ? resolve(root, '.stack') : resolve(values.STACK_DIR),
    way: values.STACK,
    ports: {
      postgres: values.STACK_POSTGRES_PORT,
      kafka: values.STACK_KAFKA_PORT,
      kafkaController: values.STACK_KAFKA_PORT + 1,
      rabbitmq: values.STACK_RABBITMQ_PORT,
      rabbitmqManagement: values.STACK_RABBITMQ_MANAGEMENT_PORT,
      rabbitmqEpmd: values.STACK_RABBITMQ_MANAGEMENT_PORT + 1,
      rabbitmqDistribution: values.STACK_RABBITMQ_MANAGEMENT_PORT + 2,
      redis: values.STACK_REDIS_PORT,
    },
    password: values.STACK_PASSWORD,
    namespace: values.MESSAGING_NAMESPACE,
    external: externalEndpoints(values),
    install: values.STACK_INSTALL === undefined ? undefined : values.STACK_INSTALL === 'yes',
    kafkaJavaOptions: values.STACK_KAFKA_JAVA_OPTIONS?.split(/\s+/) ?? [],
  }
}

/**
 * Other programs use REDIS_URL and the like too, so only our own name, or STACK=external, asks for
 * this way; from then on all four are needed.
 */
function externalEndpoints(values: z.output<typeof environment>): Endpoints | undefined {
  const {
    STACK_POSTGRES_ADMIN_URL: postgresAdminUrl,
    KAFKA_BROKERS: kafkaBrokers,
    RABBITMQ_URL: rabbitmqUrl,
    REDIS_URL: redisUrl,
  } = values
  const wanted =
    values.STACK === 'external' || (values.STACK === undefined && postgresAdminUrl !== undefined)
  if (!wanted) return undefined
  if (postgresAdminUrl && kafkaBrokers && rabbitmqUrl && redisUrl) {
    return { postgresAdminUrl, kafkaBrokers, rabbitmqUrl, redisUrl }
  }
  const missing = Object.entries({
    STACK_POSTGRES_ADMIN_URL: postgresAdminUrl,
    KAFKA_BROKERS: kafkaBrokers,
    RABBITMQ_URL: rabbitmqUrl,
    REDIS_URL: redisUrl,
  }).flatMap(([name, value]) => (value === undefined ? [name] : []))
  throw new StackError(
    `Servers of your own need four settings, and ${missing.join(', ')} is missing: ` +
      'set it, or choose another way with STACK=docker or STACK=native.',
  )
}

/** Where the servers of the docker and native ways answer. */
export function localEndpoints({ ports, password }: Settings): Endpoints {
  return {
    postgresAdminUrl: `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/postgres`,
    kafkaBrokers: `127.0.0.1:${ports.kafka}`,
    rabbitmqUrl: `amqp://edp:${password}@127.0.0.1:${ports.rabbitmq}`,
    redisUrl: `redis://127.0.0.1:${ports.redis}`,
  }
}
