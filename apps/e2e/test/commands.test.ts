import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromSource, waitFor } from '@edp/testkit'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repositoryRoot, stackSetting } from '../src/stack-settings.ts'

const commands = [
  { command: 'demo', file: 'src/demo.ts' },
  { command: 'books', file: 'src/books-main.ts' },
  { command: 'chaos', file: 'src/chaos-main.ts' },
  { command: 'fuzz', file: 'src/fuzz-main.ts' },
  { command: 'bench', file: 'bench/main.ts' },
  { command: 'explore', file: '../order-service/explore/main.ts' },
]

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'edp-commands-'))
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe.each(commands)('pnpm $command', ({ command, file }) => {
  it('--help says how it is used, and neither builds nor starts anything', async () => {
    const { code, output } = await run(file, '--help')
    expect(output).toMatch(new RegExp(`^Usage: pnpm ${command}`))
    expect(code).toBe(0)
    expect(existsSync(join(folder, 'stack'))).toBe(false)
  })

  it('ends with 2 for an option that it does not know, and says how it is used', async () => {
    const { code, output } = await run(file, '--nonsense')
    expect(output).toContain(`Usage: pnpm ${command}`)
    expect(code).toBe(2)
    expect(existsSync(join(folder, 'stack'))).toBe(false)
  })
})

it('pnpm demo leaves no database behind when a signal ends it while the services start', async () => {
  const demo = start('src/demo.ts', ['happy-path'], process.env)
  await waitFor(demo.output, {
    message: 'the services are being started',
    timeoutMs: 60_000,
    until: (output) => output.includes('Starting the services'),
  })
  const databases = `demo_${demo.child.pid}_%`
  await waitFor(() => countDatabases(databases), {
    message: 'there are databases',
    until: (count) => count > 0,
  })
  demo.child.kill('SIGTERM')
  expect(await demo.ended, demo.output()).toBe(143)
  expect(await countDatabases(databases)).toBe(0)
})

async function countDatabases(pattern: string): Promise<number> {
  const client = new pg.Client({
    connectionString: stackSetting('stack', 'STACK_POSTGRES_ADMIN_URL'),
  })
  await client.connect()
  try {
    const sql = 'select from pg_database where datname like $1'
    return (await client.query(sql, [pattern])).rowCount ?? 0
  } finally {
    await client.end()
  }
}

/** Where there is no stack, and no program on the PATH that could build or start one. */
async function run(file: string, argument: string): Promise<{ code: number; output: string }> {
  const nowhere = { ...fromSource.env, PATH: folder, STACK_DIR: join(folder, 'stack') }
  const { ended, output } = start(file, [argument], nowhere)
  return { code: await ended, output: output() }
}

function start(file: string, words: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(
    process.execPath,
    [...fromSource.args, join(repositoryRoot, 'apps/e2e', file), ...words],
    { cwd: repositoryRoot, env, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = once(child, 'close').then(() => child.exitCode ?? -1)
  return { child, output: () => said, ended }
}
