import type { Logger } from '@edp/runtime'
import type { AlertingSettings } from '../settings.ts'
import type { Channel, ChannelName } from './channel.ts'
import { logChannel } from './log.ts'
import { pagerdutyChannel } from './pagerduty.ts'
import { slackChannel } from './slack.ts'
import { webhookChannel } from './webhook.ts'

/** Where alerts go. */
export interface Channels {
  /** All that are set; the log always is. */
  readonly all: readonly Channel[]
  /** Told what the channel does not take; nobody stands in for the log. */
  fallbackOf(name: ChannelName): ChannelName | undefined
  readonly heartbeat: ChannelName
}

/**
 * The channels that the environment sets up. Every one of them, and the log, gets every alert.
 * @throws Error when the fallback or the heartbeat names one that is not set up
 */
export function configuredChannels(settings: AlertingSettings, logger: Logger): Channels {
  const all = channelsOf(settings, logger)
  const names = all.map(({ name }) => name)
  const { ALERT_FALLBACK_CHANNEL: fallback, ALERT_HEARTBEAT_CHANNEL: heartbeat } = settings
  for (const [variable, name] of Object.entries({
    ALERT_FALLBACK_CHANNEL: fallback,
    ALERT_HEARTBEAT_CHANNEL: heartbeat,
  })) {
    if (name !== undefined && !names.includes(name)) {
      throw new Error(`${variable} is ${name}, which is not set up`)
    }
  }
  return {
    all,
    fallbackOf(name) {
      if (name === 'log') return undefined
      if (fallback !== undefined && fallback !== name) return fallback
      // The log is the last one.
      return names.find((other) => other !== name)
    },
    heartbeat: heartbeat ?? (names.includes('webhook') ? 'webhook' : 'log'),
  }
}

function channelsOf(settings: AlertingSettings, logger: Logger): Channel[] {
  const timeoutMs = settings.ALERT_ATTEMPT_TIMEOUT_MS
  const {
    ALERT_PAGERDUTY_ROUTING_KEY: routingKey,
    ALERT_WEBHOOK_URL: webhookUrl,
    ALERT_SLACK_WEBHOOK_URL: slackUrl,
    PUBLIC_URL: externalUrl,
  } = settings
  const channels: Channel[] = []
  if (routingKey !== undefined) {
    const client = `dlq-alerter ${settings.MESSAGING_NAMESPACE}`
    const url = settings.ALERT_PAGERDUTY_URL
    channels.push(pagerdutyChannel({ url, routingKey, client, timeoutMs }))
  }
  if (webhookUrl !== undefined) {
    const token = settings.ALERT_WEBHOOK_TOKEN
    channels.push(webhookChannel({ url: webhookUrl, token, externalUrl, timeoutMs }))
  }
  if (slackUrl !== undefined) channels.push(slackChannel({ url: slackUrl, timeoutMs }))
  return [...channels, logChannel(logger)]
}
