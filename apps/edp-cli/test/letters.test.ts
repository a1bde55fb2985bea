import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lettersTable } from '../src/letters.ts'
import type { Served } from './served.ts'
import { letter, serveSpecifiedAlerter } from './specified-alerter.ts'
import { edp, type Ran } from './terminal.ts'

let alerter: Served

beforeAll(async () => {
  alerter = await serveSpecifiedAlerter()
})

afterAll(async () => {
  await alerter[Symbol.asyncDispose]()
})

function run(...words: string[]): Promise<Ran> {
  return edp([...words, '--url', alerter.url])
}

describe('letters and groups, against a server that answers as dlq-alerter is specified to', () => {
  it('lists letters as an aligned table, and says how to go on', async () => {
    const { code, out } = await run('letters', 'list', '--status', 'open', '--search', 'lines')
    const [head = '', first = '', second = '', more = ''] = out.split('\n')
    expect(code).toBe(0)
    expect(head).toMatch(/^LETTER +STATUS +AGE +CONSUMER +TYPE +KEY +REASON +WAITING +ERROR$/)
    expect(first).toContain('letter-1')
    expect(first.indexOf('inventory-service.kafka')).toBe(head.indexOf('CONSUMER'))
    expect(second.indexOf('inventory-service.kafka')).toBe(head.indexOf('CONSUMER'))
    expect(more).toBe('more: --cursor letter-2')
    expect(alerter.asked.at(-1)?.url).toBe('/letters?status=open&q=lines')
  })

  it('lists an ended letter with what its consumer said in the end', async () => {
    const resolved = lettersTable(
      [letter('letter-1', { status: 'resolved', outcome: 'applied' })],
      200,
    )
    expect(resolved).toContain('resolved, applied')
  })

  it('with --json gives the answer as it came, as one document', async () => {
    const { code, out, err } = await run('letters', 'list', '--json')
    expect(JSON.parse(out)).toEqual({
      letters: [letter('letter-1'), letter('letter-2')],
      nextCursor: 'letter-2',
    })
    expect([code, err]).toEqual([0, ''])
  })

  it('shows a letter with its content, and obeys no control characters in it', async () => {
    const { out } = await run('letters', 'show', 'letter-1')
    expect(out).toContain('"orderId": "1"')
    expect(out).toContain('grace: asked the shop')
    expect(out).toContain('at read (src/read-message.ts:1:1)')
    expect(out).not.toContain('\u001B')
  })

  it('says what the service refused, and ends with 1', async () => {
    const { code, out, err } = await run('letters', 'show', 'nothing')
    expect([code, out]).toEqual([1, ''])
    expect(err).toBe('edp: Not Found (404): There is no letter nothing.\n')
  })

  it('with --json gives the problem that the service answered', async () => {
    const { code, out, err } = await run('letters', 'show', 'nothing', '--json')
    expect([code, out]).toEqual([1, ''])
    expect(JSON.parse(err)).toMatchObject({ status: 404, type: 'urn:problem:no-such-letter' })
  })

  it('escapes what is typed as an id', async () => {
    await run('letters', 'show', '../groups?x=1')
    expect(alerter.asked.at(-1)?.url).toBe('/letters/..%2Fgroups%3Fx%3D1')
  })

  it('records who archives and why, by default the user of the operating system', async () => {
    const { code, out } = await run('letters', 'archive', 'letter-1', 'letter-2', '--why', 'a test')
    expect([code, out]).toEqual([0, 'letter-1 archived\nletter-2 archived\n2 of 2 archived\n'])
    expect(alerter.asked.slice(-2)).toMatchObject([
      { url: '/letters/letter-1/archive', body: { by: 'ada', why: 'a test' } },
      { url: '/letters/letter-2/archive', body: { by: 'ada', why: 'a test' } },
    ])
  })

  it('says which letters were restored before one was refused', async () => {
    const words = ['letters', 'restore', 'letter-1', 'letter-discarded', 'letter-2']
    const { code, out, err } = await run(...words, '--why', 'a mistake', '--by', 'grace')
    expect([code, out]).toEqual([1, 'letter-1 restored\n'])
    expect(err).toContain('The consumer has discarded the message.')
  })

  it('adds a note', async () => {
    await run('letters', 'note', 'letter-1', 'asked the shop')
    expect(alerter.asked.at(-1)).toMatchObject({
      url: '/letters/letter-1/notes',
      body: { by: 'ada', text: 'asked the shop' },
    })
  })

  it('corrects a body and shows what changed', async () => {
    const words = ['letters', 'edit', 'letter-1', '--body', '{"a":1}', '--why', 'a number']
    const { out } = await run(...words)
    expect(out).toContain('lines.0.quantity: "2" -> 2\n')
    expect(alerter.asked.at(-1)).toMatchObject({
      method: 'PUT',
      body: { body: '{"a":1}', by: 'ada', why: 'a number' },
    })
  })

  it('takes a corrected body from standard input', async () => {
    const words = ['letters', 'edit', 'letter-1', '--file', '-', '--why', 'w', '--url', alerter.url]
    await edp(words, { input: '{"b":2}' })
    expect(alerter.asked.at(-1)?.body).toMatchObject({ body: '{"b":2}' })
  })

  it('forgets a correction', async () => {
    const { code } = await run('letters', 'edit', 'letter-1', '--undo', '--why', 'it was right')
    expect(code).toBe(0)
    expect(alerter.asked.at(-1)).toMatchObject({ method: 'DELETE', url: '/letters/letter-1/body' })
  })

  it('shows a group with its latest letters', async () => {
    const { out } = await run('groups', 'show', 'group-1')
    expect(out).toContain('last error  poison: body.lines: Invalid input')
    expect(out).toContain('letter-1')
    const { out: json } = await run('groups', 'show', 'group-1', '--json')
    expect(JSON.parse(json)).toMatchObject({ group: { groupId: 'group-1' }, letters: [{}, {}] })
  })

  it('lists groups and alerts', async () => {
    expect((await run('groups', 'list')).out).toMatch(/group-1 +2 +0 +7 +0 /)
    expect((await run('alerts', 'list')).out).toMatch(/firing +critical .* 3 open letters/)
  })

  it('ignores a group for a time from now', async () => {
    const before = Date.now()
    await run('groups', 'ignore', 'group-1', '--until', '2h', '--why', 'known')
    const body = alerter.asked.at(-1)?.body as { until: string; why: string }
    const aheadMs = Date.parse(body.until) - before
    expect(aheadMs).toBeGreaterThanOrEqual(7_200_000)
    expect(aheadMs).toBeLessThan(7_260_000)
    expect(body.why).toBe('known')
  })
})
