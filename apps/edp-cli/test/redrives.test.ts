import { describe, expect, it } from 'vitest'
import { type Progress, serveSpecifiedAlerter } from './specified-alerter.ts'
import { edp } from './terminal.ts'

const running = { state: 'running', sent: 1, resolved: 0, failed: 0 }
const done = { state: 'done', sent: 4, resolved: 4, failed: 0 }
const someFailed = { state: 'done', sent: 4, resolved: 3, failed: 1 }
const paused = { state: 'paused', sent: 1, resolved: 0, failed: 1 }

async function redrive(progress: Progress, ...words: string[]) {
  await using alerter = await serveSpecifiedAlerter(progress)
  const ran = await edp(['letters', 'redrive', ...words, '--why', 'mended', '--url', alerter.url])
  return { ...ran, asked: [...alerter.asked] }
}

describe('redrives, against a server that answers as dlq-alerter is specified to', () => {
  it('shows the progress until all are resolved', async () => {
    const { code, out, err, asked } = await redrive([running, running, done], 'letter-1')
    expect(asked[0]).toMatchObject({
      url: '/redrives',
      body: { selection: { letters: ['letter-1'] }, by: 'ada', why: 'mended' },
    })
    expect(err).toBe(
      'redrive redrive-1\n' +
        'running: sent 1, resolved 0, failed 0 of 4\n' +
        'done: sent 4, resolved 4, failed 0 of 4\n',
    )
    expect([code, out]).toEqual([0, 'done: 4 of 4 resolved\n'])
  })

  it('ends with 1 when letters failed again', async () => {
    const { code, out } = await redrive([someFailed], '--group', 'group-1')
    expect(code).toBe(1)
    expect(out).toContain('1 failed again')
  })

  it('says how to go on when the first letters failed again', async () => {
    const { code, out, asked } = await redrive([paused], '--all', '--canary', '2', '--rate', '50')
    expect(asked[0]?.body).toMatchObject({
      selection: { all: true },
      canary: 2,
      ratePerSecond: 50,
    })
    expect(code).toBe(1)
    expect(out).toContain('`pnpm edp redrives resume redrive-1`')
  })

  it('sends nothing on a dry run', async () => {
    const words = ['--consumer', 'inventory-service.kafka', '--reason', 'poison', '--dry-run']
    const { code, out, asked } = await redrive([], ...words)
    expect(asked).toHaveLength(1)
    expect(asked[0]?.body).toMatchObject({
      selection: { consumer: 'inventory-service.kafka', reason: 'poison' },
      dryRun: true,
    })
    expect(out).toMatch(
      /\n1 are of consumers that take none back\n2 letters would be sent; nothing was\n$/,
    )
    expect(code).toBe(0)
  })

  it('with --json is one document: how it ended', async () => {
    const { out } = await redrive([running, done], 'letter-1', '--json')
    expect(JSON.parse(out)).toMatchObject({
      redriveId: 'redrive-1',
      state: 'done',
      progress: { resolved: 4 },
    })
  })

  it('is not waited for with --detach', async () => {
    const { out, asked } = await redrive([], 'letter-1', '--detach')
    expect([out, asked.length]).toEqual(['redrive redrive-1\n', 1])
  })

  it('tells the alternative that the alerter names for letters of the outbox', async () => {
    const { code, err } = await redrive([], 'letter-outbox')
    expect(code).toBe(1)
    expect(err).toContain('pnpm edp outbox put-back')
  })

  it('goes on after Ctrl-C, and says how to follow and how to cancel it', async () => {
    await using alerter = await serveSpecifiedAlerter([running])
    const interruption = new AbortController()
    const words = ['redrives', 'show', 'redrive-1', '--follow', '--url', alerter.url]
    const ran = edp(words, { interrupted: interruption.signal })
    while (alerter.asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
    interruption.abort()
    const { code, out } = await ran
    expect(code).toBe(0)
    expect(out).toContain('`pnpm edp redrives show redrive-1 --follow` follows it')
    expect(out).toContain('`pnpm edp redrives cancel redrive-1` ends it')
  })

  it('writes over its progress line on a terminal', async () => {
    await using alerter = await serveSpecifiedAlerter([running, done])
    const words = ['redrives', 'show', 'redrive-1', '--follow', '--url', alerter.url]
    const { err } = await edp(words, { columns: 80 })
    expect(err.split('\r\u001B[K')).toHaveLength(3)
    expect(err.endsWith('of 4\n')).toBe(true)
  })

  it('lists, cancels and resumes', async () => {
    await using alerter = await serveSpecifiedAlerter([done])
    const url = ['--url', alerter.url]
    expect((await edp(['redrives', 'list', ...url])).out).toMatch(/redrive-1 +done .* mended/)
    expect((await edp(['redrives', 'cancel', 'redrive-1', ...url])).out).toContain('cancelled')
    const resumed = await edp(['redrives', 'resume', 'redrive-1', '--follow', ...url])
    expect([resumed.code, resumed.out]).toEqual([0, 'done: 4 of 4 resolved\n'])
    expect(alerter.asked.map(({ body }) => body).filter((body) => body !== undefined)).toEqual([
      { by: 'ada' },
      { by: 'ada' },
    ])
  })
})
