import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AppName, appNames, freePort } from '../src/app-process.ts'
import { type Books, settleBooks } from '../src/books.ts'
import type { ReachableSystem } from '../src/reachable-system.ts'
import { readReplay, type Replay } from '../src/refinement.ts'
import { runDirectory } from '../src/stack-settings.ts'
import { databaseOf, databaseUrls, mapApps } from '../src/system.ts'
import { type Container, containersOf, docker, leftOf, type Printed } from './docker.ts'

/** The services of docker-compose.yml that are not ours. */
export const servers = ['postgres', 'kafka', 'rabbitmq', 'redis'] as const

/** The whole system of docker-compose.yml under a name, ports, volumes and a network of its own. */
export interface ContainerSystem extends ReachableSystem {
  readonly project: string
  readonly logDirectory: string
  /** Runs `docker compose` on it; the version of the images may be another one. */
  compose(args: readonly string[], version?: string): Promise<Printed>
  /** The containers that run for good, of one service or of all: not the jobs. */
  containers(service?: string): Promise<Container[]>
  /** Reads the books until they balance or the time is over; the sagas are decided again by the order-service that runs. */
  settle(timeoutMs: number): Promise<Books>
  /** Writes what every container printed into `logDirectory`. */
  saveLogs(): Promise<void>
  /**
   * Stops every container in order and removes everything.
   * @returns what is not as it has to be: exit codes of apps, and what is left
   */
  remove(): Promise<string[]>
}

const jobs = /^prepare$|-migrate$/
const portsOfServers = [
  'STACK_POSTGRES_PORT',
  'STACK_KAFKA_PORT',
  'STACK_RABBITMQ_PORT',
  'STACK_RABBITMQ_MANAGEMENT_PORT',
  'STACK_REDIS_PORT',
] as const
const password = 'edp'

/** Chooses ports for a system of containers; starts nothing. */
export async function planContainers(project: string, version: string): Promise<ContainerSystem> {
  const ports = new Set<number>()
  while (ports.size < appNames.length + portsOfServers.length) ports.add(await freePort())
  const chosen = [...ports]
  const portOf = (app: AppName): number => chosen[appNames.indexOf(app)] ?? 0
  const serverPorts = chosen.slice(appNames.length)
  const env: Record<string, string> = {
    COMPOSE_PROJECT_NAME: project,
    STACK_PASSWORD: password,
    MESSAGING_NAMESPACE: 'edp',
    EDP_VERSION: version,
    ...Object.fromEntries(portsOfServers.map((name, index) => [name, String(serverPorts[index])])),
    ...Object.fromEntries(appNames.map((app) => [portVariable(app), String(portOf(app))])),
  }
  const urls = mapApps((app) => `http://127.0.0.1:${portOf(app)}`)
  const databaseUrl = (name: string): string =>
    `postgres://postgres:${password}@127.0.0.1:${serverPorts[0]}/${name}`
  const databases = databaseUrls(databaseUrl)
  return {
    project,
    urls,
    databases,
    deadLettersDatabase: databaseUrl(databaseOf['dlq-alerter']),
    notificationsDatabase: databaseUrl(databaseOf['notification-service']),
    gatewayUrl: urls['payment-gateway-sandbox'],
    logDirectory: runDirectory(project),
    compose: (args, other = version) =>
      docker(['compose', ...args], { ...env, EDP_VERSION: other }),
    containers: async (service) =>
      (await containersOf(project)).filter((one) =>
        service === undefined ? !jobs.test(one.service) : one.service === service,
      ),
    settle: (timeoutMs) =>
      settleBooks(databases, urls['payment-gateway-sandbox'], timeoutMs, () => replayIn(project)),
    saveLogs: () => saveLogs(project),
    remove: () => remove(project, env),
  }
}

/** The setting of docker-compose.yml that names the port of an app. */
function portVariable(app: AppName): string {
  return `${app.replaceAll('-', '_').toUpperCase()}_PORT`
}

async function replayIn(project: string): Promise<Replay> {
  const containers = await containersOf(project)
  const service = containers.find((one) => one.service === 'order-service' && one.running)
  if (service === undefined) throw new Error('no order-service runs')
  // It ends with 1 when a saga is not what its log says; that is read from what it printed.
  const command = 'node dist/replay.js 2>/tmp/replay; cat /tmp/replay >&2'
  const { stdout, stderr } = await docker(['exec', service.id, 'sh', '-c', command])
  return readReplay(stdout, stderr)
}

async function saveLogs(project: string): Promise<void> {
  const folder = runDirectory(project)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const { id, name } of await containersOf(project)) {
    const { stdout, stderr } = await docker(['logs', '--timestamps', id])
    writeFileSync(join(folder, `${name}.log`), `${stdout}${stderr}`)
  }
}

async function remove(project: string, env: Record<string, string>): Promise<string[]> {
  await docker(['compose', 'stop'], env)
  const apps: readonly string[] = appNames
  const failed = (await containersOf(project))
    .filter(({ service, exitCode }) => apps.includes(service) && exitCode !== 0)
    .map(({ name, exitCode }) => `${name} ended with ${exitCode}`)
  await docker(['compose', 'down', '--volumes'], env)
  const left = await leftOf(project)
  return [...failed, ...left.map((id) => `${id} is left`)]
}
