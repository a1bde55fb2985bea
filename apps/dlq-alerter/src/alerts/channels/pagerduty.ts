import { createHash } from 'node:crypto'
import { excerpt, type Message } from '../alert.ts'
import type { Channel } from './channel.ts'
import { postJson } from './post-json.ts'

// The limits of the Events API.
const summaryCharsMax = 1024
const dedupKeyCharsMax = 255

/** PagerDuty's Events API v2: an alert is an incident while it fires, and its dedup key finds the same incident again. */
export function pagerdutyChannel(options: {
  url: string
  routingKey: string
  /** Shown as what sent it. */
  client: string
  timeoutMs: number
}): Channel {
  const { url, routingKey, client, timeoutMs } = options
  return {
    name: 'pagerduty',
    deliver: (message) =>
      postJson({ url, timeoutMs, body: pagerdutyEvent(message, { routingKey, client }) }),
  }
}

/** The event of one message. */
export function pagerdutyEvent(
  message: Message,
  { routingKey, client }: { routingKey: string; client: string },
) {
  const head = {
    routing_key: routingKey,
    event_action: message.kind === 'resolved' ? 'resolve' : 'trigger',
    dedup_key: shortened(message.dedupKey),
  }
  if (message.kind === 'resolved') return head
  return {
    ...head,
    client,
    client_url: message.link,
    links: linksOf(message),
    payload: {
      summary: excerpt(message.summary, summaryCharsMax),
      source: client,
      severity: message.severity,
      timestamp: message.startsAt,
      class: message.rule,
      custom_details: {
        ...message.labels,
        runbook: message.runbook,
        ...(message.undelivered !== undefined && { undelivered: message.undelivered }),
      },
    },
  }
}

function linksOf({ link, runbook }: Message): { href: string; text: string }[] {
  const links = [
    { href: link, text: 'show' },
    { href: runbook, text: 'runbook' },
  ]
  // A runbook may be a path in the repository, which is no link.
  return links.filter(({ href }) => URL.canParse(href))
}

// Cut off, two keys could become the same one.
function shortened(key: string): string {
  if (key.length <= dedupKeyCharsMax) return key
  const hash = createHash('sha256').update(key).digest('hex')
  return `${key.slice(0, dedupKeyCharsMax - hash.length - 1)}#${hash}`
}
