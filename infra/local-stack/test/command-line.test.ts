import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

test.each([
  { args: [], says: 'no command was given' },
  { args: ['start'], says: "'start' is no command of the stack" },
  { args: ['status', 'kafka'], says: "'status kafka' is no command of the stack" },
  { args: ['logs', 'mysql'], says: 'needs the name of a server' },
  { args: ['down', 'mysql'], says: 'knows these servers' },
  { args: ['up', '--quickly'], says: '--quickly' },
])('stack $args is wrong use: said in words, exit code 2', async ({ args, says }) => {
  const child = spawn(process.execPath, ['--conditions=source', main, ...args])
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said += String(chunk)
  })
  const [code] = await once(child, 'close')
  expect(said).toContain(says)
  expect(code).toBe(2)
})
