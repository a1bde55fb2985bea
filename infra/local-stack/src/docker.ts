import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { z } from 'zod'
import { nativeRuns } from './native/native.ts'
import type { Settings } from './settings.ts'
import { messageOf, StackError } from './stack-error.ts'
import type { ServerState } from './way.ts'

const run = promisify(execFile)

const SERVICES = ['postgres', 'kafka', 'rabbitmq', 'redis']
const ENGINE_TIMEOUT_MS = 5000

/** Whether a Docker engine with Compose v2 answers. */
export async function dockerAnswers(): Promise<boolean> {
  const options = { timeout: ENGINE_TIMEOUT_MS }
  try {
    await Promise.all([
      run('docker', ['version', '--format', '{{.Server.Version}}'], options),
      run('docker', ['compose', 'version'], options),
    ])
    return true
  } catch {
    return false
  }
}

/** Starts or repairs the infrastructure of docker-compose.yml and waits until it is healthy. */
export async function dockerUp(settings: Settings): Promise<void> {
  if (!(await dockerAnswers())) {
    throw new StackError(
      'STACK=docker, and no Docker engine with Compose v2 answers: start Docker, or use STACK=native.',
    )
  }
  if (nativeRuns(settings)) {
    throw new StackError(
      'The stack runs natively, on the same ports: `STACK=native pnpm stack down` first, or leave STACK unset.',
    )
  }
  const code = await compose(settings, ['up', '--detach', '--wait', ...SERVICES])
  if (code !== 0) {
    throw new StackError(
      'docker compose could not start the servers: its output above says why. If a port is taken, ' +
        'stop the other program, or set STACK_POSTGRES_PORT, STACK_KAFKA_PORT, STACK_RABBITMQ_PORT, ' +
        'STACK_RABBITMQ_MANAGEMENT_PORT or STACK_REDIS_PORT to free ones.',
    )
  }
}

/** Whether any of the containers exists and runs. */
export async function dockerRuns(settings: Settings): Promise<boolean> {
  if (!(await dockerAnswers())) return false
  return (await dockerStatus(settings)).some(({ state }) => state !== 'stopped')
}

const containerSchema = z.object({
  Service: z.string(),
  State: z.string(),
  Health: z.string(),
})

async function containers(settings: Settings): Promise<z.output<typeof containerSchema>[]> {
  try {
    const { stdout } = await run('docker', ['compose', 'ps', '--all', '--format', 'json'], {
      cwd: settings.root,
      env: composeEnvironment(settings),
    })
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => containerSchema.parse(JSON.parse(line)))
  } catch (error) {
    throw new StackError(`docker compose ps failed: ${messageOf(error)}`)
  }
}

export async function dockerStatus(settings: Settings): Promise<ServerState[]> {
  const all = await containers(settings)
  return SERVICES.map((name) => {
    const container = all.find(({ Service }) => Service === name)
    if (container === undefined || container.State !== 'running') {
      return { name, state: 'stopped', detail: container?.State ?? 'no container' }
    }
    const state = container.Health === 'healthy' ? 'running' : 'not answering'
    return { name, state, detail: `container is ${container.Health}` }
  })
}

/** Stops the containers; with `volumes` also deletes what they stored. */
export async function dockerDown(settings: Settings, options: { volumes: boolean }): Promise<void> {
  // With the profile of the apps, which may run beside them: without its servers nothing of it is of use.
  const args = ['--profile', 'app', 'down', ...(options.volumes ? ['--volumes'] : [])]
  const code = await compose(settings, args)
  if (code !== 0) throw new StackError('docker compose down failed: its output above says why.')
}

/** Stops the container of one server. */
export async function dockerStop(settings: Settings, name: string): Promise<void> {
  const code = await compose(settings, ['stop', name])
  if (code !== 0) throw new StackError('docker compose stop failed: its output above says why.')
}

export async function dockerLogs(settings: Settings, name: string, follow: boolean): Promise<void> {
  await compose(settings, ['logs', '--tail', '200', ...(follow ? ['--follow'] : []), name])
}

/** Runs docker compose with its progress on standard error, and returns its exit code. */
function compose(settings: Settings, args: readonly string[]): Promise<number> {
  const file = join(settings.root, 'docker-compose.yml')
  return new Promise((resolve, reject) => {
    const child = spawn('docker', ['compose', '--file', file, ...args], {
      cwd: settings.root,
      env: composeEnvironment(settings),
      stdio: ['ignore', args[0] === 'logs' ? 'inherit' : 2, 2],
    })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code ?? 1))
  })
}

function composeEnvironment({ ports, password }: Settings): NodeJS.ProcessEnv {
  return {
    ...process.env,
    STACK_PASSWORD: password,
    STACK_POSTGRES_PORT: String(ports.postgres),
    STACK_KAFKA_PORT: String(ports.kafka),
    STACK_RABBITMQ_PORT: String(ports.rabbitmq),
    STACK_RABBITMQ_MANAGEMENT_PORT: String(ports.rabbitmqManagement),
    STACK_REDIS_PORT: String(ports.redis),
  }
}
