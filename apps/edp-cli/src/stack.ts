import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { command, type Context } from './command.ts'
import { type ServiceName, serviceNames, urlOf } from './services.ts'
import { formatTable } from './table.ts'

const readyTimeoutMs = 3000
const stackFolder = fileURLToPath(new URL('../../../infra/local-stack', import.meta.url))

const readiness = z.looseObject({
  ready: z.boolean(),
  status: z.string(),
  checks: z.record(
    z.string(),
    z.looseObject({ status: z.string(), detail: z.string().optional() }),
  ),
})

interface State {
  readonly name: string
  readonly state: string
  readonly detail: string
  readonly works: boolean
}

const status = command({
  name: 'stack status',
  summary: 'the servers of the local stack, and whether each service is ready; 1 when one is not',
  run: async (context) => {
    const [servers, ...apps] = await Promise.all([
      serverStates(context),
      ...serviceNames.map((name) => serviceState(name, context)),
    ])
    const states = [...servers, ...apps]
    return {
      document: { servers, services: apps },
      text: formatTable(
        states,
        [
          ['NAME', (one) => one.name],
          ['STATE', (one) => one.state],
          ['DETAIL', (one) => one.detail],
        ],
        context.terminal.columns,
      ),
      failed: states.some(({ works }) => !works),
    }
  },
})

/** Commands of the machine that everything runs on. */
export const stackCommands = [status]

/** What `pnpm stack status` says: a line for each server, then the way in which the stack runs. */
async function serverStates({ terminal }: Context): Promise<State[]> {
  const child = spawn(
    process.execPath,
    ['--conditions=source', '--import=tsx', 'src/main.ts', 'status'],
    { cwd: stackFolder, env: terminal.env, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  const lines = output.trim().split('\n')
  const states = lines.flatMap((line) => {
    const [name = '', state = '', ...detail] = line.split(/\s{2,}/)
    if (state === '') return []
    return [{ name, state, detail: detail.join(' '), works: state === 'running' }]
  })
  if (states.length > 0) return states
  return [{ name: 'stack', state: 'unknown', detail: lines.at(-1) ?? '', works: false }]
}

async function serviceState(name: ServiceName, { terminal }: Context): Promise<State> {
  const url = urlOf(name, terminal.env)
  try {
    const signal = AbortSignal.timeout(readyTimeoutMs)
    const response = await fetch(`${url}/health/ready`, { signal })
    const { ready, status: health, checks } = readiness.parse(await response.json())
    const troubles = Object.entries(checks)
      .filter(([, check]) => check.status !== 'ok')
      .map(([check, { status: how, detail = '' }]) => `${check} ${how} ${detail}`.trim())
    const state = ready ? health : 'not ready'
    return { name, state, detail: [url, ...troubles].join('; '), works: ready }
  } catch {
    return { name, state: 'away', detail: url, works: false }
  }
}
