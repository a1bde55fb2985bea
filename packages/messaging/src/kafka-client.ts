import { AppError, type Logger } from '@edp/runtime'
import { Kafka, type LogEntry, logLevel } from 'kafkajs'
import type { SendFailure } from './send-rows.ts'

/** What every client of a Kafka cluster needs. */
export interface KafkaClientOptions {
  /** `host:port`. */
  readonly brokers: readonly string[]
  /** Shown in the broker's logs and quotas. */
  readonly clientId?: string
  /** Without one, kafkajs says nothing. */
  readonly logger?: Logger
}

const connectionTimeoutMs = 10_000
const requestTimeoutMs = 15_000

/**
 * A kafkajs client with our bounds. It tries little again by itself: who uses it knows better what to do about an
 * outage, and its own restarts keep state that a new client does not have.
 */
export function createKafkaClient(options: KafkaClientOptions): Kafka {
  const { logger } = options
  return new Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId ?? 'edp',
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    enforceRequestTimeout: true,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1000 },
    logLevel: logger ? logLevel.INFO : logLevel.NOTHING,
    ...(logger && { logCreator: () => (entry) => logTo(logger, entry) }),
  })
}

// What kafkajs calls an error is one try that failed, many of them in an outage; what lasts is reported by us, once.
function logTo(logger: Logger, { namespace, log }: LogEntry): void {
  const fields = { kafkajs: namespace, broker: String(log['broker']), error: String(log['error']) }
  logger.debug(fields, log.message)
}

const rowTypes = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE', 'INVALID_RECORD'])
const topicTypes = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'LEADER_NOT_AVAILABLE',
])

/** Whether an error says that one message, one topic, or the cluster is at fault. */
export function scopeOf(error: unknown): SendFailure['scope'] {
  // Ours, from the encoder: the message never left.
  if (error instanceof AppError && error.retry === 'permanent') return 'row'
  const type = protocolType(error)
  if (type !== undefined && rowTypes.has(type)) return 'row'
  if (type !== undefined && topicTypes.has(type)) return 'destination'
  return 'broker'
}

/** The name that the protocol gives an error, also where kafkajs wrapped it. */
export function protocolType(error: unknown): string | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('type' in at && typeof at.type === 'string') return at.type
  }
  return undefined
}

const outageNames = new Set([
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSGroupCoordinatorNotFound',
  'KafkaJSBrokerNotFound',
  'KafkaJSNoBrokerAvailableError',
  'KafkaJSLockTimeout',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
])

/** Whether an error goes away by itself: the cluster, or a topic that is not there yet. */
export function isOutage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (outageNames.has(at.name)) return true
    if ('type' in at && typeof at.type === 'string' && topicTypes.has(at.type)) return true
    if ('retriable' in at && at.retriable === true) return true
  }
  return false
}
