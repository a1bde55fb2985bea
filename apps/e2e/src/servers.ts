import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { repositoryRoot } from './stack-settings.ts'

/** A server of the local stack. */
export type Server = 'postgres' | 'kafka' | 'rabbitmq' | 'redis'

/** Stops one server of the local stack in order, as an operator would. */
export async function stopServer(server: Server): Promise<void> {
  await stack('down', server)
}

/** Starts what is stopped of the local stack and waits until it answers. */
export async function startServers(): Promise<void> {
  await stack('up')
}

/** Stops one server and starts it again. */
export async function restartServer(server: Server): Promise<void> {
  await stopServer(server)
  await startServers()
}

/**
 * Builds the apps and brings up the local stack, as far as that is needed. What they say goes to standard error, so that
 * standard output is the result of the command alone.
 * @throws Error when one of them fails
 */
export async function prepareRun(): Promise<void> {
  const turbo = join(repositoryRoot, 'node_modules/.bin/turbo')
  await run(turbo, ['run', 'build', '--output-logs=errors-only'], repositoryRoot)
  await run(process.execPath, [...stackCommand, 'up'], stackFolder)
}

const stackFolder = join(repositoryRoot, 'infra/local-stack')
const stackCommand = ['--conditions=source', '--import=tsx', 'src/main.ts']

async function stack(...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [...stackCommand, ...args], {
    cwd: stackFolder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`stack ${args.join(' ')} failed\n${output}`)
}

async function run(command: string, args: string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 2, 2] })
  await once(child, 'close')
  if (child.exitCode !== 0) throw new Error(`${command} ${args.join(' ')} failed`)
}
