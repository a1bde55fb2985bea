import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { createLogger, readConfig } from '@edp/runtime'
import { afterEach, describe, expect, test } from 'vitest'
import { config } from '../../config.ts'
import type { Message } from '../alert.ts'
import { configuredChannels } from './configured.ts'
import { logChannel } from './log.ts'
import { pagerdutyChannel, pagerdutyEvent } from './pagerduty.ts'
import { slackChannel, slackText } from './slack.ts'
import { alertmanagerPayload, webhookChannel } from './webhook.ts'

const message: Message = {
  kind: 'firing',
  dedupKey: 'edp/dlq-group/g1',
  rule: 'dlq-group',
  severity: 'warning',
  summary: '1 dead letter of order-service.kafka',
  labels: { consumer: 'order-service.kafka' },
  link: 'http://127.0.0.1:7105/groups/g1',
  runbook: 'infra/runbooks/dead-letters.md',
  startsAt: '2026-01-02T12:00:00.000Z',
  endsAt: null,
}
const resolved: Message = { ...message, kind: 'resolved', endsAt: '2026-01-02T13:00:00.000Z' }
// Longer than a busy machine takes to answer.
const timeoutMs = 5000

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A receiver on loopback; its address. */
async function receiver(
  answer: (request: IncomingMessage, response: ServerResponse) => unknown,
): Promise<string> {
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return `http://127.0.0.1:${address.port}/in`
}

const slackTo = (url: string, timeout = timeoutMs) => slackChannel({ url, timeoutMs: timeout })

describe('a receiver that answers', () => {
  test.each([200, 202, 204])('%i has it', async (status) => {
    const url = await receiver((_, response) => response.writeHead(status).end())
    expect(await slackTo(url).deliver(message)).toEqual({ kind: 'delivered' })
  })

  test.each([400, 401, 403, 404, 410, 301])('%i refuses it for good', async (status) => {
    const url = await receiver((_, response) => response.writeHead(status).end('invalid_payload'))
    expect(await slackTo(url).deliver(message)).toEqual({
      kind: 'refused',
      reason: `HTTP ${status}: invalid_payload`,
    })
  })

  test.each([408, 429, 500, 502, 503])('%i is asked again', async (status) => {
    const url = await receiver((_, response) => response.writeHead(status).end())
    expect(await slackTo(url).deliver(message)).toMatchObject({
      kind: 'later',
      reason: `HTTP ${status}`,
    })
  })

  test('Retry-After in seconds is asked again after them', async () => {
    const url = await receiver((_, response) =>
      response.writeHead(429, { 'retry-after': '30' }).end(),
    )
    expect(await slackTo(url).deliver(message)).toMatchObject({ retryAfterMs: 30_000 })
  })

  test('Retry-After as a date is asked again at that time', async () => {
    const at = new Date(Date.now() + 60_000).toUTCString()
    const url = await receiver((_, response) =>
      response.writeHead(503, { 'retry-after': at }).end(),
    )
    const delivery = await slackTo(url).deliver(message)
    const waitMs = delivery.kind === 'later' ? (delivery.retryAfterMs ?? 0) : 0
    expect(waitMs).toBeGreaterThan(50_000)
    expect(waitMs).toBeLessThanOrEqual(60_000)
  })

  test('an error with bytes that cannot be stored is shown without them', async () => {
    const url = await receiver((_, response) =>
      response.writeHead(400).end(Buffer.from([0x61, 0x00, 0x62, 0xff])),
    )
    expect(await slackTo(url).deliver(message)).toEqual({
      kind: 'refused',
      reason: 'HTTP 400: a b\ufffd',
    })
  })

  test('an endless error is cut off', async () => {
    const url = await receiver((_, response) => {
      response.writeHead(500)
      response.write('x'.repeat(10_000))
    })
    const delivery = await slackTo(url).deliver(message)
    expect(delivery).toMatchObject({ kind: 'later', reason: `HTTP 500: ${'x'.repeat(300)}` })
  })
})

test.each([
  ['hangs', () => undefined],
  [
    'hangs in its error',
    (_: unknown, response: ServerResponse) => response.writeHead(500).flushHeaders(),
  ],
])('a receiver that %s is asked again', async (_, answer) => {
  expect(await slackTo(await receiver(answer), 300).deliver(message)).toMatchObject({
    kind: 'later',
    reason: 'timed out',
  })
})

test('a receiver that is not there is asked again, and its address, which is a secret, is not in the reason', async () => {
  const url = await receiver(() => undefined)
  for (const close of closing.splice(0)) await close()
  const delivery = await slackTo(`${url}/services/T0/SECRET`).deliver(message)
  expect(delivery).toEqual({ kind: 'later', reason: 'ECONNREFUSED' })
})

describe('what is sent', () => {
  test("to a webhook is Alertmanager's payload of version 4", () => {
    const payload = alertmanagerPayload(message, 'http://127.0.0.1:7105')
    const labels = {
      alertname: 'dlq-group',
      severity: 'warning',
      consumer: 'order-service.kafka',
    }
    const annotations = { summary: message.summary, runbook_url: message.runbook }
    expect(payload).toEqual({
      version: '4',
      groupKey: '{}:{dedup_key="edp/dlq-group/g1"}',
      truncatedAlerts: 0,
      status: 'firing',
      receiver: 'webhook',
      groupLabels: { alertname: 'dlq-group' },
      commonLabels: labels,
      commonAnnotations: annotations,
      externalURL: 'http://127.0.0.1:7105',
      alerts: [
        {
          status: 'firing',
          labels,
          annotations,
          startsAt: message.startsAt,
          endsAt: '0001-01-01T00:00:00Z',
          generatorURL: message.link,
          fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
        },
      ],
    })
    const [ended] = alertmanagerPayload(resolved, '').alerts
    expect(ended).toMatchObject({
      status: 'resolved',
      endsAt: resolved.endsAt,
      fingerprint: payload.alerts[0]?.fingerprint,
    })
  })

  test('to a webhook has the bearer token', async () => {
    const seen: unknown[] = []
    const url = await receiver(async (request, response) => {
      seen.push(request.headers.authorization, await json(request))
      response.end()
    })
    await webhookChannel({ url, token: 't', externalUrl: '', timeoutMs }).deliver(message)
    expect(seen).toMatchObject(['Bearer t', { version: '4', alerts: [{ status: 'firing' }] }])
  })

  test('to PagerDuty opens an incident and closes the same one', async () => {
    const seen: unknown[] = []
    const url = await receiver(async (request, response) => {
      seen.push(await json(request))
      response.writeHead(202).end()
    })
    const channel = pagerdutyChannel({ url, routingKey: 'key', client: 'edp', timeoutMs })
    await channel.deliver(message)
    await channel.deliver(resolved)
    expect(seen).toMatchObject([
      {
        routing_key: 'key',
        event_action: 'trigger',
        dedup_key: 'edp/dlq-group/g1',
        links: [{ href: message.link }],
        payload: { summary: message.summary, severity: 'warning', source: 'edp' },
      },
      { routing_key: 'key', event_action: 'resolve', dedup_key: 'edp/dlq-group/g1' },
    ])
  })

  test('to PagerDuty keeps its limits, and long keys apart', () => {
    const keys = ['a', 'b'].map(
      (end) =>
        pagerdutyEvent(
          { ...message, dedupKey: 'k'.repeat(300) + end, summary: 's'.repeat(2000) },
          { routingKey: 'key', client: 'edp' },
        ).dedup_key,
    )
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(key).toHaveLength(255)
  })

  test('to Slack has its markup escaped', () => {
    expect(slackText({ ...message, summary: 'a < b & <!channel>' })).toBe(
      ':large_orange_circle: *dlq-group* a &lt; b &amp; &lt;!channel&gt;\n' +
        '<http://127.0.0.1:7105/groups/g1|show> · runbook: infra/runbooks/dead-letters.md',
    )
  })

  test('to the log is one line of its severity', async () => {
    const lines: string[] = []
    const logger = createLogger('t', 'info', { destination: { write: (line) => lines.push(line) } })
    await logChannel(logger).deliver(message)
    await logChannel(logger).deliver(resolved)
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: 'warn', msg: `firing: ${message.summary}`, alert: { rule: 'dlq-group' } },
      { level: 'info', msg: `resolved: ${message.summary}` },
    ])
  })
})

describe('the channels', () => {
  const logger = createLogger('t', 'silent')
  const channelsOf = (env: Record<string, string>) =>
    configuredChannels(
      readConfig(config, {
        DATABASE_URL: 'postgres://localhost/x',
        KAFKA_BROKERS: 'localhost:1',
        RABBITMQ_URL: 'amqp://localhost',
        ...env,
      }),
      logger,
    )

  test('are the log alone when none is set up', () => {
    const channels = channelsOf({})
    expect(channels.all.map(({ name }) => name)).toEqual(['log'])
    expect(channels.fallbackOf('log')).toBeUndefined()
    expect(channels.heartbeat).toBe('log')
  })

  test('stand in for each other, the log last', () => {
    const channels = channelsOf({
      ALERT_PAGERDUTY_ROUTING_KEY: 'k',
      ALERT_SLACK_WEBHOOK_URL: 'http://localhost/s',
    })
    expect(channels.all.map(({ name }) => name)).toEqual(['pagerduty', 'slack', 'log'])
    expect(channels.fallbackOf('pagerduty')).toBe('slack')
    expect(channels.fallbackOf('slack')).toBe('pagerduty')
    const one = channelsOf({ ALERT_WEBHOOK_URL: 'http://localhost/w' })
    expect(one.fallbackOf('webhook')).toBe('log')
    expect(one.heartbeat).toBe('webhook')
  })

  test('must be set up to be named', () => {
    expect(() => channelsOf({ ALERT_FALLBACK_CHANNEL: 'slack' })).toThrow(
      'ALERT_FALLBACK_CHANNEL is slack, which is not set up',
    )
  })

  test('do not show an address that is a secret when it does not fit', () => {
    expect(() => channelsOf({ ALERT_SLACK_WEBHOOK_URL: 'hooks.slack.com/T0/SECRET' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('SECRET') }),
    )
  })
})
