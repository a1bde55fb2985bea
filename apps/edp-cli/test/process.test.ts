import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { fromSource, waitFor } from '@edp/testkit'
import { expect, it } from 'vitest'
import { serveSpecifiedAlerter } from './specified-alerter.ts'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const running = { state: 'running', sent: 1, resolved: 0, failed: 0 }

function start(words: readonly string[]) {
  const args = [...fromSource.args, main, ...words]
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...fromSource.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()))
  const ended = once(child, 'close').then(() => ({ ...said, code: child.exitCode }))
  return { child, said, ended }
}

it('is a process whose exit code says what became of it', async () => {
  expect(await start(['--help']).ended).toMatchObject({ code: 0, err: '' })
  expect(await start(['nonsense']).ended).toMatchObject({ code: 2, out: '' })
  const unanswered = start(['alerts', 'list', '--url', 'http://127.0.0.1:9']).ended
  expect(await unanswered).toMatchObject({ code: 1, out: '' })
})

it('leaves a redrive running at Ctrl-C, also when the signal comes twice at once', async () => {
  await using alerter = await serveSpecifiedAlerter([running])
  const words = ['letters', 'redrive', '--all', '--why', 'mended', '--url', alerter.url]
  const { child, said, ended } = start(words)
  await waitFor(() => said.err.includes('sent 1'), { message: 'the redrive is being followed' })
  child.kill('SIGINT')
  child.kill('SIGINT')
  const { code, out } = await ended
  expect(code).toBe(0)
  expect(out).toContain('The redrive goes on.')
  expect(alerter.asked.every(({ url }) => !url.includes('cancel'))).toBe(true)
})
