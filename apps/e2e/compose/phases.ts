import { setTimeout as sleep } from 'node:timers/promises'
import { untilAllTold } from '../src/all-told.ts'
import { coordinations } from '../src/api.ts'
import { appNames } from '../src/app-process.ts'
import { formatBooks } from '../src/books.ts'
import { countSetAside } from '../src/failures.ts'
import { randomOrders } from '../src/random-orders.ts'
import { sceneOf } from '../src/reachable-system.ts'
import { runScenario, type Scenario, scenarios } from '../src/scenarios.ts'
import type { ScenarioContext } from '../src/story.ts'
import { type ContainerSystem, servers } from './container-system.ts'
import { untilHealthy } from './docker.ts'
import { buildImages, formatImages } from './images.ts'
import { crash, formatKills, killEach, type KillRow } from './kills.ts'
import { buildPatched } from './next-version.ts'
import { replaceAll, sagasByVersion } from './rolling.ts'
import { expectNothingLost, type LoadSettings, underLoad } from './under-load.ts'

/** What a phase works on. */
export interface Run extends LoadSettings {
  system: ContainerSystem
  /** Of the images. */
  version: string
  /** Shows a line to whoever watches. */
  tell: (line: string) => void
}

/** A part of the run: throws when something is not as it has to be. */
export interface Phase {
  name: string
  title: string
  run(run: Run): Promise<void>
}

const outageMs = 10_000

/** Every phase, in the order in which they run. */
export const phases: readonly Phase[] = [
  { name: 'build', title: 'build the images', run: build },
  { name: 'up', title: 'bring everything up and wait until it is healthy', run: up },
  { name: 'scenarios', title: 'every scenario, in both styles', run: runScenarios },
  { name: 'scale', title: 'inventory-service to three and back, under load', run: scale },
  { name: 'kills', title: 'SIGKILL each container once, under load', run: kills },
  { name: 'crash', title: 'a crash that the restart policy repairs, under load', run: crashes },
  { name: 'outages', title: 'stop and start each server, under load', run: outages },
  { name: 'rolling', title: 'replace each service by its next version, under load', run: rolling },
  { name: 'books', title: 'the books of it all', run: books },
]

async function build({ version, tell }: Run): Promise<void> {
  for (const line of formatImages(await buildImages(version)).split('\n')) tell(line)
}

async function up({ system, tell }: Run): Promise<void> {
  const { stderr } = await system.compose(['config', '--quiet'])
  if (stderr !== '') throw new Error(`docker compose config warns:\n${stderr}`)
  await system.compose(['--profile', 'app', 'up', '--detach', '--wait', '--wait-timeout', '400'])
  const containers = await system.containers()
  const unhealthy = containers.filter(({ health }) => health !== 'healthy')
  if (unhealthy.length > 0) {
    throw new Error(`not healthy: ${unhealthy.map(({ name }) => name).join(', ')}`)
  }
  tell(`${containers.length} containers are healthy`)
}

async function runScenarios({ system, seed, tell }: Run): Promise<void> {
  const contextOf = (coordination: ScenarioContext['coordination']): ScenarioContext => ({
    ...sceneOf(system),
    coordination,
    tell: () => undefined,
  })
  const failed: string[] = []
  // One style after the other: the containers of both at once would be a test of the machine.
  for (const coordination of coordinations) {
    const told = await Promise.all(scenarios.map((one) => runToEnd(one, contextOf(coordination))))
    failed.push(...told.flatMap((reason) => reason ?? []))
  }
  if (failed.length > 0) throw new Error(failed.join('\n'))
  const [choreographed, orchestrated] = await Promise.all(
    coordinations.map((coordination) => randomOrders(contextOf(coordination), seed)),
  )
  if (JSON.stringify(choreographed) !== JSON.stringify(orchestrated)) {
    throw new Error('the two styles ended otherwise when they were given the same outcomes')
  }
  await expectBalance(system)
  tell(`${scenarios.length} scenarios ended as they must, 40 random orders alike in both styles`)
}

/** @returns what is wrong, if something is */
async function runToEnd(scenario: Scenario, context: ScenarioContext): Promise<string | undefined> {
  try {
    await runScenario(scenario, context)
    return undefined
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `${scenario.name}, ${context.coordination}: ${reason}`
  }
}

async function scale(run: Run): Promise<void> {
  const { system, tell } = run
  const scaleTo = async (count: number): Promise<void> => {
    const args = ['up', '--detach', '--wait', '--no-recreate', '--no-deps']
    await system.compose([...args, '--scale', `inventory-service=${count}`, 'inventory-service'])
    const found = (await system.containers('inventory-service')).length
    if (found !== count) throw new Error(`${found} containers of inventory-service, not ${count}`)
  }
  const outcome = await underLoad(system, run, async (load) => {
    await scaleTo(3)
    await load.more(50)
    await scaleTo(2)
    await load.more(50)
  })
  expectNothingLost(outcome)
  expectNoFailures(outcome.failures)
  tell(`${outcome.orders} orders, none lost, none doubled, no request failed`)
}

async function kills(run: Run): Promise<void> {
  const rows: KillRow[] = []
  const outcome = await underLoad(run.system, run, async (load) => {
    for (const service of [...appNames, 'haproxy', ...servers]) {
      rows.push(await killEach(run.system, service, load))
    }
  })
  for (const line of formatKills(rows, outcome).split('\n')) run.tell(line)
  expectNothingLost(outcome)
  await untilAllTold(run.system)
}

async function crashes(run: Run): Promise<void> {
  const outcome = await underLoad(run.system, run, async (load) => {
    for (const service of ['order-service', 'outbox-relay', 'payment-gateway-sandbox']) {
      const [container] = await run.system.containers(service)
      if (container === undefined) throw new Error(`there is no container of ${service}`)
      const tookMs = await crash(container)
      run.tell(`${container.name} was repaired after ${(tookMs / 1000).toFixed(1)} s`)
      await load.more(10)
    }
  })
  expectNothingLost(outcome)
}

/** An outage is waited for: no process ends over it, and nothing is dead afterwards. */
async function outages(run: Run): Promise<void> {
  const { system, tell } = run
  for (const server of servers) {
    const before = await startsOf(system)
    const outcome = await underLoad(system, run, async (load) => {
      await system.compose(['stop', server])
      await sleep(outageMs)
      await system.compose(['start', server])
      for (const { id } of await system.containers(server)) await untilHealthy(id)
      await load.more(50)
    })
    expectNothingLost(outcome)
    const ended = [...(await startsOf(system))].filter(([name, at]) => before.get(name) !== at)
    if (ended.length > 0)
      throw new Error(`started again: ${ended.map(([name]) => name).join(', ')}`)
    tell(`${server} was away: ${outcome.orders} orders, none lost, none doubled, no process ended`)
  }
  for (const url of Object.values(system.databases)) {
    const { parked, unpublishable } = await countSetAside(url)
    if (parked + unpublishable > 0) {
      throw new Error(`${parked} messages are parked, ${unpublishable} rows set aside`)
    }
  }
  await untilAllTold(system)
}

async function startsOf(system: ContainerSystem): Promise<Map<string, string>> {
  const apps: readonly string[] = appNames
  const containers = await system.containers()
  return new Map(
    containers
      .filter(({ service }) => apps.includes(service))
      .map(({ name, startedAt }) => [name, startedAt]),
  )
}

// Who reads the second version of an event comes before who writes it, and every order-service knows the second version of the
// saga before one starts it.
const replaced = [
  'order-service',
  'inventory-service',
  'payment-service',
  'notification-service',
  'order-statistics',
  'dlq-alerter',
  'outbox-relay',
] as const

async function rolling(run: Run): Promise<void> {
  const { system, version, tell } = run
  const [next, started] = [`${version}-next`, `${version}-next-saga`]
  await buildPatched(next, ['next-version.patch'], replaced)
  const patches = ['next-version.patch', 'next-saga.patch']
  await buildPatched(started, patches, ['order-service'])
  const outcome = await underLoad(system, run, async (load) => {
    for (const service of replaced) {
      await replaceAll(system, service, { version: next, load })
      tell(`${service} is replaced, after ${load.accepted()} orders`)
    }
    await replaceAll(system, 'order-service', { version: started, load })
    tell(`order-service starts version 2 of the saga, after ${load.accepted()} orders`)
    await load.more(20)
  })
  expectNothingLost(outcome)
  expectNoFailures(outcome.failures)
  const sagas = await sagasByVersion(system.databases.orders)
  if (sagas['v1'] === undefined || sagas['v2'] === undefined) {
    throw new Error(`sagas of both versions were expected, found ${JSON.stringify(sagas)}`)
  }
  tell(
    `${outcome.orders} orders, none lost, none doubled, no request failed; sagas: ${JSON.stringify(sagas)}`,
  )
}

async function books({ system, tell }: Run): Promise<void> {
  tell(await expectBalance(system))
}

async function expectBalance(system: ContainerSystem): Promise<string> {
  const read = await system.settle(60_000)
  if (!read.balanced) throw new Error(`the books do not balance:\n${formatBooks(read)}`)
  return formatBooks(read).trim()
}

/** @throws Error when a client was not answered, whatever came of it later */
export function expectNoFailures(failures: readonly string[]): void {
  if (failures.length > 0) {
    throw new Error(`${failures.length} requests failed, such as ${failures[0]}`)
  }
}
