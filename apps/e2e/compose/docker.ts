import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { repositoryRoot } from '../src/stack-settings.ts'

const run = promisify(execFile)

const outputBytesMax = 256 * 1024 * 1024
const failed = z.object({ stdout: z.string(), stderr: z.string() })
const states = z.array(
  z.object({
    Id: z.string(),
    Name: z.string(),
    RestartCount: z.number(),
    State: z.object({
      Running: z.boolean(),
      ExitCode: z.number(),
      StartedAt: z.string(),
      Health: z.object({ Status: z.string() }).optional(),
    }),
    Config: z.object({ Labels: z.record(z.string(), z.string()) }),
  }),
)

/** A container as Docker sees it at a moment. */
export interface Container {
  id: string
  name: string
  service: string
  running: boolean
  /** Changes when the container is started again, by whomever. */
  startedAt: string
  /** How often Docker has started it again by itself. */
  restarts: number
  exitCode: number
  /** `none` when it has no health check. */
  health: string
}

/** What a docker command printed. */
export interface Printed {
  stdout: string
  stderr: string
}

/**
 * Runs the docker command in the root of the repository.
 * @throws Error with what it printed when it fails
 */
export async function docker(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Printed> {
  try {
    return await run('docker', args, {
      cwd: repositoryRoot,
      env: { ...process.env, ...env },
      maxBuffer: outputBytesMax,
    })
  } catch (error) {
    const printed = failed.safeParse(error).data
    const lines = `${printed?.stdout ?? ''}${printed?.stderr ?? ''}`.trimEnd().split('\n')
    throw new Error(`docker ${args.join(' ')} failed\n${lines.slice(-40).join('\n')}`, {
      cause: error,
    })
  }
}

/** The containers of a project, also those that have ended. */
export async function containersOf(project: string): Promise<Container[]> {
  const ids = await listIds(['ps', '--all', '--quiet', ...labelled(project)])
  return ids.length === 0 ? [] : await inspect(ids)
}

/** One container now. */
export async function containerNow(id: string): Promise<Container> {
  const [container] = await inspect([id])
  if (container === undefined) throw new Error(`there is no container ${id}`)
  return container
}

/**
 * Waits until a container is healthy.
 * @throws Error with the end of its log when it is not in time
 */
export async function untilHealthy(id: string, timeoutMs = 120_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const { name, running, health } = await containerNow(id)
    if (running && health === 'healthy') return
    if (Date.now() > deadline) {
      const { stdout, stderr } = await docker(['logs', '--tail', '20', id])
      throw new Error(`${name} is ${health} after ${timeoutMs} ms\n${stdout}${stderr}`)
    }
    await sleep(100)
  }
}

/** Whatever of a project is left: containers, volumes, networks. */
export async function leftOf(project: string): Promise<string[]> {
  const label = labelled(project)
  const lists = await Promise.all([
    listIds(['ps', '--all', '--quiet', ...label]),
    listIds(['volume', 'ls', '--quiet', ...label]),
    listIds(['network', 'ls', '--quiet', ...label]),
  ])
  return lists.flat()
}

function labelled(project: string): string[] {
  return ['--filter', `label=com.docker.compose.project=${project}`]
}

async function listIds(args: readonly string[]): Promise<string[]> {
  const { stdout } = await docker(args)
  return stdout.split('\n').filter((line) => line !== '')
}

async function inspect(ids: readonly string[]): Promise<Container[]> {
  const { stdout } = await docker(['inspect', '--type', 'container', ...ids])
  return states.parse(JSON.parse(stdout)).map((one) => ({
    id: one.Id,
    name: one.Name.slice(1),
    service: one.Config.Labels['com.docker.compose.service'] ?? '',
    running: one.State.Running,
    startedAt: one.State.StartedAt,
    restarts: one.RestartCount,
    exitCode: one.State.ExitCode,
    health: one.State.Health?.Status ?? 'none',
  }))
}
