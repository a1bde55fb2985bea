import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeSettings } from './app-settings.ts'
import { ensureDatabases } from './databases.ts'
import { dockerDown, dockerLogs, dockerStatus, dockerStop, dockerUp } from './docker.ts'
import { externalStatus, externalUp } from './external.ts'
import { withLock } from './lock.ts'
import { makeTopicsAndQueues, prepareMessaging } from './messaging.ts'
import { prepareDatabases } from './migrations.ts'
import {
  nativeDelete,
  nativeDown,
  nativeLogs,
  nativeStatus,
  nativeStop,
  nativeUp,
} from './native/native.ts'
import { progress, secondsSince } from './progress.ts'
import { type Endpoints, localEndpoints, type Settings, type Way } from './settings.ts'
import { StackError } from './stack-error.ts'
import { apps } from './topology.ts'
import { chooseWay, runningWay, type ServerState } from './way.ts'

const SERVERS = ['postgres', 'kafka', 'rabbitmq', 'redis']

/** Brings everything up, or repairs it: servers, topics, queues, databases, roles, migrations, settings. */
export async function up(settings: Settings): Promise<void> {
  const startedMs = performance.now()
  await withLock(settings.dir, async () => {
    const way = await chooseWay(settings)
    const endpoints = endpointsOf(settings, way)
    if (way === 'external') await externalUp(endpoints)
    if (way === 'docker') await dockerUp(settings)
    if (way === 'native') await nativeUp(settings)
    writeSettings(endpoints, settings)
    await Promise.all([
      prepareDatabases(endpoints, settings),
      prepareMessaging(endpoints, settings, way),
    ])
    progress(`up (${way}) after ${secondsSince(startedMs)}`)
  })
}

/**
 * Makes what services need on servers that someone else runs: roles, databases, topics and queues. Writes no file and migrates
 * nothing, so that it can run as a job in a deployment, before the migrations of the apps.
 */
export async function prepare(settings: Settings): Promise<void> {
  const { external: endpoints, password, namespace } = settings
  if (endpoints === undefined) {
    throw new StackError('`stack prepare` is for servers of your own: set STACK=external.', 2)
  }
  const startedMs = performance.now()
  await externalUp(endpoints)
  await Promise.all([
    ensureDatabases(endpoints.postgresAdminUrl, { password, isCurrent: () => false }),
    makeTopicsAndQueues(endpoints, namespace),
  ])
  progress(`prepared after ${secondsSince(startedMs)}`)
}

/** Stops what `up` started, or of that only the server named: `up` starts it again. Data stays. */
export async function down(settings: Settings, name?: string): Promise<void> {
  if (name !== undefined && !SERVERS.includes(name)) {
    throw new StackError(`\`stack down\` knows these servers: ${SERVERS.join(', ')}.`, 2)
  }
  await withLock(settings.dir, async () => {
    const way = await runningWay(settings)
    if (way === 'external') {
      progress('these servers are not ours to stop')
    } else if (way === 'docker') {
      await (name === undefined
        ? dockerDown(settings, { volumes: false })
        : dockerStop(settings, name))
    } else if (name !== undefined) {
      progress((await nativeStop(settings, name)) ? `stopped ${name}` : `${name} was not running`)
    } else {
      // Also without a running server: its port mapper may be left, or a group without its leader.
      const any = await nativeDown(settings)
      progress(any ? 'stopped' : 'nothing was running')
    }
  })
}

/** Stops what `up` started and deletes its data; downloaded software stays. */
export async function reset(settings: Settings): Promise<void> {
  await withLock(settings.dir, async () => {
    const way = await chooseWay(settings)
    if (way === 'external') {
      throw new StackError(
        'The stack deletes nothing on servers of your own: drop the databases ' +
          'and topics there yourself, or unset STACK_POSTGRES_ADMIN_URL to reset the local stack.',
      )
    }
    if (way === 'docker') await dockerDown(settings, { volumes: true })
    else await nativeDown(settings)
    nativeDelete(settings)
    for (const { name } of apps) {
      rmSync(join(settings.dir, 'data', name), { recursive: true, force: true })
    }
    // The environment of the services stays: without it, those that run under `turbo dev` would end for good.
    rmSync(join(settings.dir, 'prepared.json'), { force: true })
    progress('stopped, and its data is deleted; `pnpm stack up` starts anew')
  })
}

/** Prints what runs. Returns whether all servers answer. */
export async function status(settings: Settings): Promise<boolean> {
  const way = (await runningWay(settings)) ?? (await chooseWay(settings))
  const states = await statesOf(settings, way)
  const width = Math.max(...states.map(({ name }) => name.length))
  for (const { name, state, detail } of states) {
    process.stdout.write(`${name.padEnd(width)}  ${state.padEnd(13)}  ${detail}\n`)
  }
  process.stdout.write(`way: ${way}\n`)
  return states.every(({ state }) => state === 'running')
}

/** Prints the output of one server. */
export async function logs(
  settings: Settings,
  name: string | undefined,
  follow: boolean,
): Promise<void> {
  if (name === undefined || !SERVERS.includes(name)) {
    throw new StackError(`\`stack logs\` needs the name of a server: ${SERVERS.join(', ')}.`, 2)
  }
  const way = (await runningWay(settings)) ?? 'native'
  if (way === 'external') throw new StackError('The logs of servers of your own are not here.')
  if (way === 'docker') await dockerLogs(settings, name, follow)
  else await nativeLogs(settings, name, follow)
}

function endpointsOf(settings: Settings, way: Way): Endpoints {
  if (way === 'external' && settings.external !== undefined) return settings.external
  return localEndpoints(settings)
}

function statesOf(settings: Settings, way: Way): Promise<ServerState[]> {
  if (way === 'docker') return dockerStatus(settings)
  if (way === 'native') return nativeStatus(settings)
  return externalStatus(endpointsOf(settings, way))
}
