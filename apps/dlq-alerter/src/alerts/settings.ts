import {
  httpUrl,
  milliseconds,
  millisecondsFrom,
  namespace,
  positiveInteger,
  setting,
} from '@edp/runtime'
import { z } from 'zod'
import { type ChannelName, channelNames } from './channels/channel.ts'

const urlsByName = setting('a JSON object of name → http:// URL', (text) => {
  try {
    return z
      .record(z.string().regex(/^[a-z0-9-]+$/), z.url({ protocol: /^https?$/ }))
      .safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
})

const beatNames = ['webhook', 'slack', 'log'] as const satisfies readonly ChannelName[]

const oneOf = <Name extends ChannelName>(names: readonly Name[]) =>
  setting(`one of ${names.join(', ')}`, (text) => names.find((name) => name === text))

/** What alerting reads. Spread it into the service's own `z.object`. */
export const alertingConfig = {
  PUBLIC_URL: httpUrl
    .default('http://127.0.0.1:7105')
    .describe("the alerter's address in what it tells people"),
  RUNBOOK_BASE_URL: z
    .string()
    .default('infra/runbooks')
    .describe('URL of the runbooks, or their path in the repository'),
  METRICS_URLS: urlsByName
    .optional()
    .describe(
      'JSON object of name → URL of metrics to watch, at every address of its host; default the services on this machine',
    ),
  RABBITMQ_MANAGEMENT_URL: httpUrl
    .default('http://127.0.0.1:7673')
    .describe(
      'for the depth of queues; user and password are those of RABBITMQ_URL unless given here',
    ),
  ALERT_WEBHOOK_URL: httpUrl.optional().describe("gets Alertmanager's webhook payload"),
  ALERT_WEBHOOK_TOKEN: z.string().optional().describe('sent to the webhook as bearer token'),
  ALERT_SLACK_WEBHOOK_URL: httpUrl.optional().describe('an incoming webhook of Slack'),
  ALERT_PAGERDUTY_ROUTING_KEY: z.string().optional().describe('of the Events API v2'),
  ALERT_PAGERDUTY_URL: httpUrl
    .default('https://events.pagerduty.com/v2/enqueue')
    .describe('where the Events API answers'),
  ALERT_FALLBACK_CHANNEL: oneOf(channelNames)
    .optional()
    .describe('told what another channel does not take; default another one that is set, else log'),
  ALERT_HEARTBEAT_CHANNEL: oneOf(beatNames)
    .optional()
    .describe('default webhook if it is set, else log'),
  ALERT_HEARTBEAT_INTERVAL_MS: milliseconds
    .default(3_600_000)
    .describe('between two proofs that the alerter lives'),
  ALERT_EVALUATE_INTERVAL_MS: milliseconds
    .default(2000)
    .describe('how often it is decided what alerts'),
  ALERT_READ_INTERVAL_MS: milliseconds
    .default(30_000)
    .describe('how often metrics, and with them the counts of the queues, are read'),
  ALERT_READ_TIMEOUT_MS: milliseconds.default(3000).describe('for one page of metrics'),
  ALERT_HOLD_MS: millisecondsFrom(0).default(60_000).describe('how long a bound is exceeded first'),
  ALERT_UNREADABLE_MS: millisecondsFrom(0)
    .default(120_000)
    .describe('how long metrics may be unreadable'),
  ALERT_RESOLVE_AFTER_MS: millisecondsFrom(0)
    .default(30_000)
    .describe('how long an alert has to be quiet to be resolved'),
  ALERT_FLOOD_LETTERS_PER_MINUTE: positiveInteger
    .default(100)
    .describe('more dead letters are a flood: one alert, groups are silent'),
  ALERT_GROUPS_PER_MINUTE_MAX: positiveInteger
    .default(10)
    .describe('more groups that begin to alert are a flood too'),
  ALERT_OPEN_LEVEL_MS: milliseconds
    .default(3_600_000)
    .describe('a group that is never without open letters for so long alerts again'),
  ALERT_OPEN_AGE_MAX_MS: milliseconds.default(86_400_000).describe('age of an open letter'),
  ALERT_QUEUE_MESSAGES_MAX: positiveInteger.default(10_000).describe('in a queue of RabbitMQ'),
  ALERT_CONSUMER_LAG_MESSAGES_MAX: positiveInteger
    .default(10_000)
    .describe('that a consumer is behind on a topic'),
  ALERT_OUTBOX_AGE_MAX_MS: milliseconds.default(60_000).describe('of the oldest outbox row'),
  ALERT_PARKED_MESSAGES_MAX: positiveInteger.default(100).describe('parked for another attempt'),
  ALERT_SAGA_AGE_MAX_MS: milliseconds.default(900_000).describe('of a saga that has not ended'),
  ALERT_DUE_LAG_MAX_MS: milliseconds
    .default(300_000)
    .describe('of a timer, a payment or a notification'),
  ALERT_JOBS_WAITING_MAX: positiveInteger.default(1000).describe('jobs waiting in a BullMQ queue'),
  ALERT_JOBS_FAILED_MAX: positiveInteger.default(100).describe('failed jobs in a BullMQ queue'),
  ALERT_ATTEMPT_TIMEOUT_MS: milliseconds.default(5000).describe('for a notification'),
  ALERT_ATTEMPTS_MAX: positiveInteger
    .default(120)
    .describe('to deliver a notification; about an hour'),
  ALERT_FALLBACK_AFTER_MS: millisecondsFrom(0)
    .default(120_000)
    .describe('what is not delivered by then goes to the fallback too'),
}

const settings = z.object({ ...alertingConfig, MESSAGING_NAMESPACE: namespace })
export type AlertingSettings = z.infer<typeof settings> & { RABBITMQ_URL: string }
