import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { listens } from '../probes.ts'
import { progress, secondsSince } from '../progress.ts'
import { StackError } from '../stack-error.ts'
import { leaderRuns, type ProcessRecord, remaining, startOf } from './process-table.ts'

/** One server process of the native way: how to start it, see that it works, and stop it. */
export type Server = {
  /** Names its pid file and its log. */
  name: string
  title: string
  command: string
  args: readonly string[]
  env: Readonly<Record<string, string>>
  cwd: string
  /** The user to run as, where it must not be the one who starts it. */
  user?: { uid: number; gid: number }
  /** The text of its configuration: a change of it asks for a restart. */
  config: string
  ports: readonly { port: number; setting: string }[]
  answers: () => Promise<boolean>
  stopSignal: NodeJS.Signals
  /** What must be there before the first start, such as an initialised data folder. */
  prepare: () => Promise<void>
  /** Output of a start that failed only because the last process is not quite gone. */
  tryAgainOn?: RegExp
}

const START_TIMEOUT_MS = 90_000
const UNRESPONSIVE_AFTER_MS = 10_000
const STOP_TIMEOUT_MS = 30_000
const POLL_INTERVAL_MS = 40
const START_ATTEMPTS_MAX = 20
const START_RETRY_MS = 300
const LOG_BYTES_MAX = 20_000_000

const recordSchema = z.object({ pid: z.number(), started: z.string(), fingerprint: z.string() })

/** The files of the native way below the stack's folder. */
export function layout(dir: string) {
  return {
    data: (name: string) => join(dir, 'data', name),
    log: (name: string) => join(dir, 'logs', `${name}.log`),
    record: (name: string) => join(dir, 'run', `${name}.json`),
    software: (name: string) => join(dir, 'software', name),
  }
}

/** The record of a server's last start, if it was started and not stopped since. */
export function readRecord(dir: string, name: string): ProcessRecord | undefined {
  const path = layout(dir).record(name)
  if (!existsSync(path)) return undefined
  try {
    return recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined // Cut short by a crash of an earlier command: as good as no record.
  }
}

/** Leaves a healthy server alone; starts one that is down; replaces one that hangs or has old settings. */
export async function ensureRunning(server: Server, dir: string): Promise<void> {
  const fingerprint = fingerprintOf(server)
  const record = readRecord(dir, server.name)
  if (record !== undefined && leaderRuns(record)) {
    if (record.fingerprint !== fingerprint) {
      progress(`${server.title}: its settings changed, restarting`)
    } else if (await answersInTime(server, UNRESPONSIVE_AFTER_MS)) {
      return
    } else {
      progress(`${server.title}: process ${record.pid} does not answer, restarting`)
    }
    await stop(server, dir)
  } else if (record !== undefined) {
    progress(`${server.title}: process ${record.pid} is gone, starting again`)
    await kill(record)
  }
  await assertPortsFree(server)
  await server.prepare()
  for (let attempt = 1; ; attempt += 1) {
    const output = await start(server, dir, fingerprint)
    if (output === 'up') return
    if (!server.tryAgainOn?.test(output) || attempt === START_ATTEMPTS_MAX) {
      throw new StackError(
        `${server.title} did not start. The end of ${layout(dir).log(server.name)}:\n${output}`,
      )
    }
    await sleep(START_RETRY_MS)
  }
}

/** Ends a server: politely, then not. Returns whether there was one. */
export async function stop(
  server: Pick<Server, 'name' | 'stopSignal'>,
  dir: string,
): Promise<boolean> {
  const record = readRecord(dir, server.name)
  const ran = record !== undefined && remaining(record).length > 0
  if (record !== undefined && ran) {
    if (leaderRuns(record)) {
      // A stopped process (SIGSTOP) takes no other signal before it goes on.
      sendSignal(record.pid, server.stopSignal)
      sendSignal(record.pid, 'SIGCONT')
    }
    if (!(await gone(record, STOP_TIMEOUT_MS))) await kill(record)
  }
  rmSync(layout(dir).record(server.name), { force: true })
  return ran
}

async function kill(record: ProcessRecord): Promise<void> {
  if (remaining(record).length === 0) return
  sendSignal(-record.pid, 'SIGKILL')
  if (!(await gone(record, STOP_TIMEOUT_MS))) {
    throw new StackError(`Process group ${record.pid} does not end after SIGKILL: end it by hand.`)
  }
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    const ended = error instanceof Error && 'code' in error && error.code === 'ESRCH'
    if (!ended) throw error
  }
}

async function gone(record: ProcessRecord, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (remaining(record).length > 0) {
    if (performance.now() > deadline) return false
    await sleep(POLL_INTERVAL_MS)
  }
  return true
}

async function answersInTime(server: Server, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!(await server.answers())) {
    if (performance.now() > deadline) return false
    await sleep(POLL_INTERVAL_MS)
  }
  return true
}

async function assertPortsFree(server: Server): Promise<void> {
  for (const { port, setting } of server.ports) {
    if (await listens(port)) {
      throw new StackError(
        `Port ${port} of ${server.title} is taken by another program: stop that one (this stack in ` +
          `Docker with \`STACK=docker pnpm stack down\`), or set ${setting} to a free port.`,
      )
    }
  }
}

/** Starts the process and waits until it answers: 'up', or the end of what it printed before it died. */
async function start(server: Server, dir: string, fingerprint: string): Promise<string> {
  const startedMs = performance.now()
  const logPath = layout(dir).log(server.name)
  const logFrom = rotated(logPath)
  const log = openSync(logPath, 'a')
  const child = spawn(server.command, server.args, {
    cwd: server.cwd,
    // The caller's own PG*, KAFKA_* and RABBITMQ_* variables must not reach the servers.
    env: { ...baseEnvironment(), ...server.env },
    // A session of its own: Ctrl-C in the terminal ends the apps and not the stack.
    detached: true,
    stdio: ['ignore', log, log],
    ...server.user,
  })
  closeSync(log)
  const state: { ended: string | undefined } = { ended: undefined }
  child.once('error', (error) => {
    state.ended = error.message
  })
  child.once('exit', (code, signal) => {
    state.ended = `exit code ${code ?? signal}`
  })
  if (child.pid !== undefined) writeRecord(dir, server.name, child.pid, fingerprint)
  while (performance.now() - startedMs < START_TIMEOUT_MS) {
    if (state.ended !== undefined) {
      rmSync(layout(dir).record(server.name), { force: true })
      return `${lastLines(logPath, logFrom)}${state.ended}`
    }
    if (await server.answers()) {
      child.unref()
      progress(`${server.title} answers after ${secondsSince(startedMs)}`)
      return 'up'
    }
    await sleep(POLL_INTERVAL_MS)
  }
  child.unref()
  return `${lastLines(logPath, logFrom)}no answer after ${START_TIMEOUT_MS / 1000} s`
}

function writeRecord(dir: string, name: string, pid: number, fingerprint: string): void {
  const record: ProcessRecord = { pid, started: startOf(pid) ?? '', fingerprint }
  mkdirSync(join(dir, 'run'), { recursive: true })
  writeFileSync(layout(dir).record(name), JSON.stringify(record))
}

function baseEnvironment(): Record<string, string> {
  const { PATH = '/usr/bin:/bin', HOME = '/', TMPDIR } = process.env
  return { PATH, HOME, LANG: 'C.UTF-8', ...(TMPDIR === undefined ? {} : { TMPDIR }) }
}

function fingerprintOf(server: Server): string {
  const hash = createHash('sha256')
  // Without the command: terminals with different PATHs must not restart each other's servers.
  const { args, env, user, config } = server
  return hash.update(JSON.stringify([args, env, user ?? null, config])).digest('hex')
}

/** Sets a log that grew large aside; returns the place from which the next start writes. */
function rotated(path: string): number {
  mkdirSync(join(path, '..'), { recursive: true })
  if (!existsSync(path)) return 0
  const { size } = statSync(path)
  if (size <= LOG_BYTES_MAX) return size
  renameSync(path, `${path}.1`)
  return 0
}

const LINES_SHOWN = 12

function lastLines(path: string, from: number): string {
  const text = readFileSync(path).subarray(from).toString('utf8').trimEnd()
  const lines = text.split('\n').slice(-LINES_SHOWN)
  return lines.map((line) => `  ${line}\n`).join('')
}
