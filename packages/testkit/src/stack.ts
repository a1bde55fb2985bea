import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseEnv } from 'node:util'

/** Where the servers answer. */
export type Stack = {
  /** A role that may create databases and roles. */
  postgresAdminUrl: string
  kafkaBrokers: string[]
  rabbitmqUrl: string
  /** Where its HTTP API answers. */
  rabbitmqManagementUrl: string
  redisUrl: string
}

/**
 * The servers that tests and benchmarks use: from the environment, else from what `pnpm stack up` wrote.
 * @throws Error that says what to do when neither is there
 */
export function stack(): Stack {
  const settings = { ...writtenSettings(), ...givenSettings() }
  const read = (name: string): string => {
    const value = settings[name]
    if (value === undefined)
      throw new Error(`${name} is not known: run \`pnpm stack up\`, or set it`)
    return value
  }
  return {
    postgresAdminUrl: read('STACK_POSTGRES_ADMIN_URL'),
    kafkaBrokers: read('KAFKA_BROKERS').split(','),
    rabbitmqUrl: read('RABBITMQ_URL'),
    rabbitmqManagementUrl: read('RABBITMQ_MANAGEMENT_URL'),
    redisUrl: read('REDIS_URL'),
  }
}

/** The password of the roles that the stack makes. */
export function rolePassword(): string {
  return process.env['STACK_PASSWORD'] || 'edp'
}

/** The root of the repository. */
export function repositoryRoot(): string {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'pnpm-workspace.yaml'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new Error('no pnpm-workspace.yaml above the testkit')
    folder = parent
  }
  return folder
}

function writtenSettings(): Record<string, string | undefined> {
  const folder = resolve(repositoryRoot(), process.env['STACK_DIR'] || '.stack')
  const path = join(folder, 'env', 'stack.env')
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {}
}

// All or none, but for the HTTP API, which `pnpm stack up` writes in any case: the settings of a service in the environment are not those of a stack.
function givenSettings(): Record<string, string | undefined> {
  return process.env['STACK_POSTGRES_ADMIN_URL'] ? process.env : {}
}
