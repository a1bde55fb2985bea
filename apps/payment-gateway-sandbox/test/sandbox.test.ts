import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AppProcess, spawnApp, startApp } from '@edp/testkit'

const folder = mkdtempSync(join(tmpdir(), 'sandbox-'))
let sandbox: AppProcess
let keys = 0

beforeAll(async () => {
  sandbox = await startApp('payment-gateway-sandbox', {
    LEDGER_FILE: join(folder, 'ledger.jsonl'),
    SLOW_MS: '700',
  })
})
afterAll(async () => {
  await sandbox.end('SIGKILL')
  rmSync(folder, { recursive: true })
})

function newKey(): string {
  keys += 1
  return `order-${keys}/charge/do`
}

function post(path: string, init: RequestInit = {}, url = sandbox.url): Promise<Response> {
  return fetch(url + path, { method: 'POST', ...init })
}

function charge(key: string, token: string, more: { signal?: AbortSignal; url?: string } = {}) {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key }
  const body = JSON.stringify({ amountMinor: 1299, currency: 'EUR', token })
  return post('/charges', { headers, body, ...(more.signal && { signal: more.signal }) }, more.url)
}

async function voidCharge(key: string): Promise<{ status: number; body: unknown }> {
  const answer = await post(`/charges/${encodeURIComponent(key)}/void`)
  return { status: answer.status, body: await answer.json() }
}

async function recorded(key: string): Promise<Record<string, unknown>> {
  const answer = await fetch(`${sandbox.url}/charges/${encodeURIComponent(key)}`)
  return (await answer.json()) as Record<string, unknown>
}

/** Whether a charge is running, or has ended when a look came late. */
async function isInHand(key: string): Promise<boolean> {
  const metrics = await (await fetch(`${sandbox.url}/metrics`)).text()
  if (metrics.includes('edp_gateway_charges_running 1')) return true
  return (await recorded(key))['status'] === 'captured'
}

describe('test tokens', () => {
  test('tok_ok charges once, however often and however parallel it is asked', async () => {
    const key = newKey()
    const answers = await Promise.all(Array.from({ length: 8 }, () => charge(key, 'tok_ok')))
    expect(answers.map((answer) => answer.status)).toEqual(Array(8).fill(201))
    const bodies = await Promise.all(answers.map((answer) => answer.text()))
    expect(new Set(bodies).size).toBe(1)
    expect(await recorded(key)).toMatchObject({ status: 'captured', amountMinor: 1299 })
  })

  test.each([
    ['tok_declined', 'card_declined'],
    ['tok_unknown', 'invalid_token'],
  ])('%s is a definite decline', async (token, code) => {
    const key = newKey()
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const answer = await charge(key, token)
      expect(answer.status).toBe(402)
      expect(await answer.json()).toEqual({ code })
    }
  })

  test('tok_timeout_after_charge has charged when the client gives up, and answers the repetition', async () => {
    const key = newKey()
    const client = new AbortController()
    const unanswered = charge(key, 'tok_timeout_after_charge', { signal: client.signal })
    await expect.poll(() => recorded(key)).toMatchObject({ status: 'captured' })
    client.abort()
    await expect(unanswered).rejects.toThrow('aborted')
    expect((await charge(key, 'tok_timeout_after_charge')).status).toBe(201)
  })

  test('tok_5xx_twice charges at the third request', async () => {
    const key = newKey()
    const answers = [
      await charge(key, 'tok_5xx_twice'),
      await charge(key, 'tok_5xx_twice'),
      await charge(key, 'tok_5xx_twice'),
    ]
    expect(answers.map((answer) => answer.status)).toEqual([500, 503, 201])
    expect(answers[1]?.headers.get('retry-after')).toBe('1')
  })

  test('tok_refund_fails is not given back until an operator repairs it', async () => {
    const key = newKey()
    await charge(key, 'tok_refund_fails')
    expect(await voidCharge(key)).toMatchObject({ status: 409, body: { status: 409 } })
    expect(await recorded(key)).toMatchObject({ status: 'captured', refundedMinor: 0 })
    expect((await post(`/charges/${encodeURIComponent(key)}/repair`)).status).toBe(200)
    expect(await voidCharge(key)).toEqual({
      status: 200,
      body: { status: 'refunded', refundedMinor: 1299 },
    })
  })
})

describe('charge and void of one key', () => {
  test('tok_refund_fails is charged slowly enough to be given up meanwhile, and is not given back', async () => {
    const key = newKey()
    const charging = charge(key, 'tok_refund_fails')
    await expect.poll(() => isInHand(key)).toBe(true)
    expect(await voidCharge(key)).toMatchObject({ status: 409 })
    expect((await charging).status).toBe(201)
    expect(await recorded(key)).toMatchObject({ status: 'captured', refundedMinor: 0 })
  })

  test('a void waits for the slow charge that is running and gives it back', async () => {
    const key = newKey()
    const charging = charge(key, 'tok_slow')
    // Until the sandbox has the charge in hand, a void would rightly close the key.
    await expect.poll(() => isInHand(key)).toBe(true)
    expect(await voidCharge(key)).toEqual({
      status: 200,
      body: { status: 'refunded', refundedMinor: 1299 },
    })
    expect((await charging).status).toBe(201)
  })

  test('a charge that comes after the void of its key can never charge', async () => {
    const key = newKey()
    expect((await voidCharge(key)).body).toEqual({ status: 'voided', refundedMinor: 0 })
    const late = await charge(key, 'tok_ok')
    expect(late.status).toBe(402)
    expect(await late.json()).toEqual({ code: 'voided' })
    expect(await recorded(key)).toMatchObject({ status: 'voided', amountMinor: 0 })
  })

  test('racing, they end with the money either never taken or given back', async () => {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const key = newKey()
        const [charged, voided] = await Promise.all([charge(key, 'tok_ok'), voidCharge(key)])
        const { status } = await recorded(key)
        expect(status).toBe(charged.status === 201 ? 'refunded' : 'voided')
        expect(voided.body).toMatchObject({ status })
      }),
    )
  })
})

describe('bad requests', () => {
  test('another payload under a used key is 422 and changes nothing', async () => {
    const key = newKey()
    await charge(key, 'tok_ok')
    expect((await charge(key, 'tok_declined')).status).toBe(422)
    expect(await recorded(key)).toMatchObject({ status: 'captured' })
  })

  test('every problem of a body is named with its path, nothing is coerced or dropped', async () => {
    const answer = await post('/charges', {
      headers: { 'content-type': 'application/json', 'idempotency-key': newKey() },
      body: JSON.stringify({ amountMinor: '12', currency: 'euro', extra: 1 }),
    })
    expect(answer.status).toBe(400)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    const problem = (await answer.json()) as { errors: { path: string }[] }
    expect(problem.errors.map((error) => error.path).toSorted()).toEqual([
      'body.amountMinor',
      'body.currency',
      'body.extra',
      'body.token',
    ])
  })

  test('a charge without Idempotency-Key is refused', async () => {
    const answer = await post('/charges', {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ amountMinor: 12, currency: 'EUR', token: 'tok_ok' }),
    })
    expect(answer.status).toBe(400)
    expect(await answer.text()).toContain('headers.idempotency-key')
  })

  test('a bad environment is one message with every problem, and exit 1', async () => {
    const doomed = spawnApp('payment-gateway-sandbox', { HTTP_PORT: 'seven', SLOW_MS: 'long' })
    expect(await doomed.ended).toBe(1)
    for (const name of ['HTTP_PORT', 'SLOW_MS', 'LEDGER_FILE'])
      expect(doomed.output()).toContain(name)
  })
})

test('the ledger is paged, and its totals are those of its charges', async () => {
  for (let index = 0; index < 5; index += 1) await charge(newKey(), 'tok_ok')
  type Page = {
    charges: { key: string; status: string; amountMinor: number; refundedMinor: number }[]
    totals: Record<string, unknown>
    nextCursor: string | null
  }
  const charges: Page['charges'] = []
  let totals: unknown
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const page = (await (
      await fetch(`${sandbox.url}/ledger?limit=3&cursor=${cursor}`)
    ).json()) as Page
    charges.push(...page.charges)
    totals = page.totals
    cursor = page.nextCursor
  }
  expect(new Set(charges.map((one) => one.key)).size).toBe(charges.length)
  const taken = charges.filter((one) => ['captured', 'refunded'].includes(one.status))
  expect(totals).toEqual({
    EUR: {
      capturedMinor: taken.reduce((sum, one) => sum + one.amountMinor, 0),
      refundedMinor: taken.reduce((sum, one) => sum + one.refundedMinor, 0),
    },
  })
  expect(await (await fetch(`${sandbox.url}/ledger/totals`)).json()).toEqual({ totals })
  for (const query of ['cursor=1e1', 'cursor=-1', 'limit=%2B5']) {
    expect((await fetch(`${sandbox.url}/ledger?${query}`)).status).toBe(400)
  }
})

test('after a SIGKILL under load every charge that was answered is in the ledger, once', async () => {
  const ledgerFile = join(folder, 'killed.jsonl')
  const killed = await startApp('payment-gateway-sandbox', { LEDGER_FILE: ledgerFile })
  const answered = new Map<string, string>()
  const load = Array.from({ length: 16 }, async (_, lane) => {
    for (let index = 0; ; index += 1) {
      const key = `lane-${lane}/${index}`
      const answer = await charge(key, 'tok_ok', { url: killed.url })
      answered.set(key, await answer.text())
      if (answered.size === 300) void killed.end('SIGKILL')
    }
  })
  await Promise.allSettled(load)
  expect(answered.size).toBeGreaterThanOrEqual(300)

  const again = await startApp('payment-gateway-sandbox', { LEDGER_FILE: ledgerFile })
  for (const [key, body] of answered) {
    const repeated = await charge(key, 'tok_ok', { url: again.url })
    expect({ key, body: await repeated.text() }).toEqual({ key, body })
  }
  expect(await again.end('SIGTERM')).toBe(0)
  const lines = readFileSync(ledgerFile, 'utf8').trimEnd().split('\n')
  const written = lines.map((line) => (JSON.parse(line) as { key: string }).key)
  expect(new Set(written).size).toBe(written.length)
})

test('SIGTERM ends it with 0 although a client is kept waiting on purpose', async () => {
  const stopped = await startApp('payment-gateway-sandbox', {
    LEDGER_FILE: join(folder, 'stopped.jsonl'),
  })
  const hanging = charge(newKey(), 'tok_timeout_after_charge', { url: stopped.url })
  // The charge is in its ledger before the silence starts.
  await expect
    .poll(async () => (await fetch(`${stopped.url}/ledger/totals`)).text())
    .toContain('1299')
  expect(await stopped.end('SIGTERM')).toBe(0)
  expect((await hanging).status).toBe(201)
})
