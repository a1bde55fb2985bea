import { createHash } from 'node:crypto'
import type { Message } from '../alert.ts'
import type { Channel } from './channel.ts'
import { postJson } from './post-json.ts'

// How Alertmanager, being written in Go, says "not yet".
const noTime = '0001-01-01T00:00:00Z'

/** Posts what Prometheus' Alertmanager posts (its webhook payload, version 4), so that what understands that understands us. */
export function webhookChannel(options: {
  url: string
  /** Sent as a bearer token. */
  token: string | undefined
  /** The alerter's public address. */
  externalUrl: string
  timeoutMs: number
}): Channel {
  const { url, token, externalUrl, timeoutMs } = options
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    name: 'webhook',
    deliver: (message) =>
      postJson({ url, headers, timeoutMs, body: alertmanagerPayload(message, externalUrl) }),
  }
}

/** The payload for one message, as a group with one alert. A heartbeat fires for ever, as Prometheus' `Watchdog` does. */
export function alertmanagerPayload(message: Message, externalUrl: string) {
  const status = message.kind === 'resolved' ? 'resolved' : 'firing'
  const groupLabels = { alertname: message.rule }
  const labels = {
    ...message.labels,
    ...groupLabels,
    severity: message.kind === 'heartbeat' ? 'none' : message.severity,
  }
  const annotations = {
    summary: message.summary,
    runbook_url: message.runbook,
    ...(message.undelivered !== undefined && { undelivered: message.undelivered }),
  }
  return {
    version: '4',
    groupKey: `{}:{dedup_key=${JSON.stringify(message.dedupKey)}}`,
    truncatedAlerts: 0,
    status,
    receiver: 'webhook',
    groupLabels,
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL: externalUrl,
    alerts: [
      {
        status,
        labels,
        annotations,
        startsAt: message.startsAt,
        endsAt: message.endsAt ?? noTime,
        generatorURL: message.link,
        fingerprint: createHash('sha256').update(message.dedupKey).digest('hex').slice(0, 16),
      },
    ],
  }
}
