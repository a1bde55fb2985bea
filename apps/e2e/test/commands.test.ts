import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromSource } from '@edp/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repositoryRoot } from '../src/stack-settings.ts'

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

/** Where there is no stack, and no program on the PATH that could build or start one. */
async function run(file: string, argument: string): Promise<{ code: number; output: string }> {
  const child = spawn(
    process.execPath,
    [...fromSource.args, join(repositoryRoot, 'apps/e2e', file), argument],
    {
      cwd: repositoryRoot,
      env: { ...fromSource.env, PATH: folder, STACK_DIR: join(folder, 'stack') },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode ?? -1, output }
}
