import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'

const packageFolder = join(import.meta.dirname, '..')
const started: ChildProcess[] = []

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
})

type Running = {
  child: ChildProcess
  /** Everything on stdout and stderr so far. */
  output(): { stdout: string; stderr: string }
  exit: Promise<number | null>
}

function run(
  env: Record<string, string>,
  args: readonly string[] = [],
  fixture = 'example-service',
): Running {
  const child = spawn(
    process.execPath,
    ['--conditions=source', `test/fixtures/${fixture}.ts`, ...args],
    {
      cwd: packageFolder,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  started.push(child)
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output.stderr += chunk.toString()))
  const exit = once(child, 'close').then(([code]: (number | null)[]) => code ?? null)
  return { child, output: () => output, exit }
}

async function running(env: Record<string, string> = {}): Promise<Running> {
  const service = run({ DATABASE_URL: 'postgres://a:b@127.0.0.1/x', ...env })
  await vi.waitFor(() => expect(service.output().stdout).toContain('"ready"'), { timeout: 30_000 })
  return service
}

/** When the process has logged a message, by its own clock. */
function loggedAt(stdout: string, message: string): number {
  const line = stdout.split('\n').find((one) => one.includes(`"msg":"${message}"`))
  return Date.parse(z.object({ time: z.string() }).parse(JSON.parse(line ?? '')).time)
}

test('a bad environment is one message on stderr with every problem, and exit 1', async () => {
  const service = run({ HTTP_PORT: 'http', BEHAVIOUR: 'odd', SHUTDOWN_TIMEOUT_MS: 'soon' })
  expect(await service.exit).toBe(1)
  const { stdout, stderr } = service.output()
  expect(stdout).toBe('')
  expect(stderr.trim().split('\n')).toEqual([
    'example-service: bad environment (4):',
    '  HTTP_PORT: expected a port from 0 to 65535, given "http"',
    '  SHUTDOWN_TIMEOUT_MS: expected a whole number of milliseconds from 1 to 2147483647, given "soon"',
    '  DATABASE_URL: expected a postgres:// URL, but it is not set',
    expect.stringContaining('BEHAVIOUR: '),
  ])
})

test('a stop that would be over before it has begun is a bad environment', async () => {
  const delays = { SHUTDOWN_DELAY_MS: '2000', SHUTDOWN_TIMEOUT_MS: '2000' }
  const service = run({ DATABASE_URL: 'postgres://a:b@127.0.0.1/x', ...delays })
  expect(await service.exit).toBe(1)
  expect(service.output().stderr).toContain(
    'SHUTDOWN_DELAY_MS: expected less than SHUTDOWN_TIMEOUT_MS (2000)',
  )
})

test('--help lists the settings and exits 0, whatever the environment', async () => {
  const service = run({ HTTP_PORT: 'http' }, ['--help'])
  expect(await service.exit).toBe(0)
  expect(service.output().stdout).toMatch(/DATABASE_URL +required/)
  expect(service.output().stdout).toMatch(/BEHAVIOUR +default good +how it behaves/)
})

test('an argument that it does not know is wrong use, and exits 2', async () => {
  const service = run({ DATABASE_URL: 'postgres://a:b@127.0.0.1/x' }, ['--bogus'])
  expect(await service.exit).toBe(2)
  const { stdout, stderr } = service.output()
  expect(stdout).toBe('')
  expect(stderr).toMatch(/^example-service: unknown argument --bogus: .*--help/)
})

test('a program that migrates answers --help and refuses arguments likewise, and touches nothing', async () => {
  const noDatabase = { MIGRATION_DATABASE_URL: 'postgres://a:b@127.0.0.1:1/x' }
  const help = run(noDatabase, ['--help'], 'example-migrate')
  expect(await help.exit).toBe(0)
  expect(help.output().stdout).toMatch(/MIGRATION_DATABASE_URL +required/)

  const wrong = run(noDatabase, ['--dry-run'], 'example-migrate')
  expect(await wrong.exit).toBe(2)
  expect(wrong.output().stderr).toMatch(/^migrate: unknown argument --dry-run: /)
})

test.each(['SIGTERM', 'SIGINT'] as const)('%s stops in order and exits 0', async (signal) => {
  const service = await running()
  service.child.kill(signal)
  expect(await service.exit).toBe(0)
  expect(service.output().stdout).toContain('last component stops')
})

test('a stop with SHUTDOWN_DELAY_MS first says that it is not ready, and still answers', async () => {
  const delays = { SHUTDOWN_DELAY_MS: '60000', SHUTDOWN_TIMEOUT_MS: '70000' }
  const service = await running(delays)
  const url = /listens at (http:[^"]+)/.exec(service.output().stdout)?.[1]
  service.child.kill('SIGTERM')
  await vi.waitFor(async () => expect((await fetch(`${url}/health/ready`)).status).toBe(503), {
    timeout: 30_000,
  })
  expect((await fetch(`${url}/health/live`)).status).toBe(200)
  expect(service.output().stdout).not.toContain('last component stops')
})

test('after SHUTDOWN_DELAY_MS it stops in order and exits 0', async () => {
  const service = await running({ SHUTDOWN_DELAY_MS: '300' })
  service.child.kill('SIGTERM')
  expect(await service.exit).toBe(0)
  const { stdout } = service.output()
  const waitedMs = loggedAt(stdout, 'last component stops') - loggedAt(stdout, 'stopping')
  expect(waitedMs).toBeGreaterThanOrEqual(299)
})

test('two signals at the same moment count as one', async () => {
  const service = await running()
  service.child.kill('SIGINT')
  service.child.kill('SIGTERM')
  expect(await service.exit).toBe(0)
})

test('a second signal later than a second exits 1 at once', async () => {
  const service = await running({ BEHAVIOUR: 'slow-stop', SHUTDOWN_TIMEOUT_MS: '50000' })
  service.child.kill('SIGTERM')
  const again = setInterval(() => service.child.kill('SIGTERM'), 200)
  const code = await service.exit
  clearInterval(again)
  expect(code).toBe(1)
  expect(service.output().stdout).toContain('second signal')
})

test('a stop that takes longer than SHUTDOWN_TIMEOUT_MS exits 1', async () => {
  const service = await running({ BEHAVIOUR: 'slow-stop', SHUTDOWN_TIMEOUT_MS: '100' })
  service.child.kill('SIGTERM')
  expect(await service.exit).toBe(1)
  expect(service.output().stdout).toContain('did not stop')
})

test.each([
  { behaviour: 'failing-start', says: 'the last one fails to start', stops: true },
  { behaviour: 'fatal', says: 'consumer crashed', stops: true },
  { behaviour: 'unhandled', says: 'lost', stops: false },
])('$behaviour is logged as fatal and exits 1', async ({ behaviour, says, stops }) => {
  const service = run({ DATABASE_URL: 'postgres://a:b@127.0.0.1/x', BEHAVIOUR: behaviour })
  expect(await service.exit).toBe(1)
  const { stdout } = service.output()
  expect(stdout).toContain('"level":"fatal"')
  expect(stdout).toContain(says)
  expect(stdout.includes('last component stops')).toBe(stops)
})
