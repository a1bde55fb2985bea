import type { Message } from '../alert.ts'
import type { Channel } from './channel.ts'
import { postJson } from './post-json.ts'

const marks = {
  critical: ':red_circle:',
  warning: ':large_orange_circle:',
  info: ':large_blue_circle:',
}

/** A Slack incoming webhook. Its URL is the secret. */
export function slackChannel(options: { url: string; timeoutMs: number }): Channel {
  const { url, timeoutMs } = options
  return {
    name: 'slack',
    deliver: (message) => postJson({ url, timeoutMs, body: { text: slackText(message) } }),
  }
}

/** The text of a message in Slack's markup. */
export function slackText(message: Message): string {
  const { kind, severity, rule, summary, runbook, link, undelivered } = message
  const lines = [`${headOf(kind, severity)} *${escaped(rule)}* ${escaped(summary)}`]
  if (kind !== 'heartbeat') lines.push(`${linked(link, 'show')} · ${linked(runbook, 'runbook')}`)
  if (undelivered !== undefined) lines.push(`_${escaped(undelivered)}_`)
  return lines.join('\n')
}

function headOf(kind: Message['kind'], severity: Message['severity']): string {
  switch (kind) {
    case 'firing':
      return marks[severity]
    case 'resolved':
      return ':large_green_circle: resolved:'
    case 'heartbeat':
      return ':heartbeat:'
  }
}

// What Slack itself asks for: these three and no others.
function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

// A runbook may be a path in the repository, which is no link.
function linked(target: string, title: string): string {
  return URL.canParse(target) ? `<${escaped(target)}|${title}>` : `${title}: ${escaped(target)}`
}
