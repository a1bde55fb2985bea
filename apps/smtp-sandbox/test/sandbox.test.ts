import { appendFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AppProcess, freePort, startApp } from '@edp/testkit'
import { createTransport } from 'nodemailer'
import { afterAll, beforeAll, expect, test } from 'vitest'

const slowMs = 700
const folder = mkdtempSync(join(tmpdir(), 'mails-'))
const file = join(folder, 'mails.jsonl')
let smtpPort: number
let sandbox: AppProcess

const start = (): Promise<AppProcess> =>
  startApp('smtp-sandbox', {
    MAILS_FILE: file,
    SMTP_PORT: String(smtpPort),
    SLOW_MS: String(slowMs),
  })

beforeAll(async () => {
  smtpPort = await freePort()
  sandbox = await start()
})
afterAll(async () => {
  await sandbox.end('SIGKILL')
  rmSync(folder, { recursive: true })
})

/** Resolves when the sandbox has acknowledged it. */
async function send(to: string, notificationId?: string, subject = 'Order confirmed') {
  const transport = createTransport({ host: '127.0.0.1', port: smtpPort, ignoreTLS: true })
  const headers = notificationId === undefined ? {} : { 'X-Notification-Id': notificationId }
  try {
    await transport.sendMail({ from: 'shop@example.com', to, subject, text: 'Thank you.', headers })
  } finally {
    transport.close()
  }
}

interface Listed {
  count: number
  duplicates: number
  mails: Record<string, unknown>[]
}

async function list(query: string): Promise<Listed> {
  return (await (await fetch(`${sandbox.url}/mails?${query}`)).json()) as Listed
}

test('an e-mail that was acknowledged is listed as it was sent, the newest first', async () => {
  await send('anna@example.com', 'n-1', 'Order confirmed: Müller & Söhne')
  await send('anna@example.com', undefined, 'Digest')
  await send('bert@example.com', 'n-2')

  const { count, duplicates, mails } = await list('to=anna@example.com')
  expect({ count, duplicates }).toEqual({ count: 2, duplicates: 0 })
  const taken = { to: ['anna@example.com'], at: expect.any(String), text: 'Thank you.\n' }
  expect(mails).toEqual([
    { ...taken, subject: 'Digest', notificationId: null },
    { ...taken, subject: 'Order confirmed: Müller & Söhne', notificationId: 'n-1' },
  ])
  expect((await list('to=anna@example.com&limit=1')).mails).toEqual([mails[0]])
  expect((await list('notificationId=n-2')).mails).toMatchObject([{ to: ['bert@example.com'] }])
})

test('a second e-mail of a notification is counted, and red on the page', async () => {
  await send('twice@example.com', 'n-twice')
  await send('twice@example.com', 'n-twice', '<b>again</b>')
  await send('twice@example.com')
  await send('twice@example.com')

  // Those of no notification are copies of nothing.
  expect(await list('to=twice@example.com')).toMatchObject({ count: 4, duplicates: 1 })
  const page = await (await fetch(sandbox.url)).text()
  const red = page.split('<tr').filter((row) => row.startsWith(' class="twice"'))
  expect(red).toEqual([expect.stringContaining('&lt;b>again&lt;/b>')])
})

test.each([
  ['refused', 550],
  ['busy', 450],
])('%s… is answered %i until it is repaired, and nothing is kept of it', async (name, code) => {
  const address = `${name}@example.com`
  await expect(send(address)).rejects.toMatchObject({ responseCode: code })
  expect((await list(`to=${address}`)).count).toBe(0)

  const path = `/addresses/${encodeURIComponent(address)}/repair`
  expect((await fetch(sandbox.url + path, { method: 'POST' })).status).toBe(200)
  await send(address)
  expect((await list(`to=${address}`)).count).toBe(1)
})

test('slow… is acknowledged after SLOW_MS', async () => {
  const startedAt = performance.now()
  await send('slow@example.com')
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(slowMs)
  expect((await list('to=slow@example.com')).count).toBe(1)
})

test('what was acknowledged outlives a kill; what was written in part was not, and is cut off', async () => {
  await send('kept@example.com', 'n-kept')
  await sandbox.end('SIGKILL')
  appendFileSync(file, '{"at":"2026-01-01T00:00:00.000Z","to":["torn@exam')
  sandbox = await start()

  await send('after@example.com')
  expect((await list('to=kept@example.com')).count).toBe(1)
  expect((await list('to=after@example.com')).count).toBe(1)
  const before = await list('limit=1000')
  await sandbox.end('SIGTERM')
  sandbox = await start()
  expect(await list('limit=1000')).toEqual(before)
})

test('a limit that is no number is refused with its path', async () => {
  const answer = await fetch(`${sandbox.url}/mails?limit=many`)
  expect(answer.status).toBe(400)
  expect(await answer.text()).toContain('limit')
})
