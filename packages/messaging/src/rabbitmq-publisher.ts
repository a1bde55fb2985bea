import type { OutboxRow, Publisher } from '@edp/outbox'
import { AppError, type Component, type Logger } from '@edp/runtime'
import type { ConfirmChannel, Message, Options } from 'amqplib'
import { ConfirmWindow, type ConfirmingChannel } from './confirm-window.ts'
import { Link } from './link.ts'
import { Outcomes } from './outcomes.ts'
import { openRabbitConnection, type RabbitConnection } from './rabbitmq-connection.ts'
import { type Send, sendRows } from './send-rows.ts'

/** What `createRabbitPublisher` needs. */
export interface RabbitPublisherOptions {
  /** `amqp://user:password@host:port/vhost`. */
  url: string
  logger: Logger
  /** How many messages may be unconfirmed at once; default 500. */
  windowMax?: number
  /** When a window in which nothing is confirmed counts as failed; default 30 s. */
  confirmTimeoutMs?: number
}

/** AMQP's limit for the names of exchanges and routing keys. */
const nameBytesMax = 255
/** The broker closes a channel with this code (precondition failed) over a message that it does not take. */
const preconditionFailed = 406

/**
 * Publishes outbox rows to RabbitMQ: persistent, mandatory, each confirmed. A row is published only when the broker
 * confirmed it and did not return it; what was unconfirmed when a channel or connection was lost is published again,
 * since nobody knows. A lost connection is made again by the next call, with backoff.
 */
export function createRabbitPublisher(options: RabbitPublisherOptions): Publisher & Component {
  const { url, logger, windowMax = 500, confirmTimeoutMs = 30_000 } = options
  const link = new Link<RabbitConnection>({
    open: () => openRabbitConnection({ url, logger, name: 'publisher' }),
    close: (connection) => connection.close(),
  })

  const send: Send = async (rows, outcomes) => {
    try {
      const connection = await link.get()
      const channel = confirming(await connection.channel())
      const window = new ConfirmWindow(channel, rows, { outcomes, windowMax, confirmTimeoutMs })
      const { unsettled, timedOut } = await window.run()
      link.worked()
      if (unsettled.length === 0) return undefined
      // A lost connection closes its channels first.
      await nextTick()
      const error = connection.channelError ?? new Error('not confirmed')
      if (timedOut || connection.lost) {
        link.drop()
        return { scope: 'broker', unsettled, error }
      }
      // The broker closes a channel over one publish, and all that were unconfirmed on it are lost with it.
      return error instanceof Error && codeOf(error) === preconditionFailed
        ? { scope: 'row', unsettled, error: refusal(error) }
        : { scope: 'destination', unsettled, error }
    } catch (error) {
      link.drop()
      return { scope: 'broker', unsettled: rows, error }
    }
  }

  return {
    name: 'rabbitmq-publisher',
    start: async () => {
      await link
        .get()
        .catch((error: unknown) => logger.warn({ err: error }, 'RabbitMQ is not there'))
    },
    stop: () => link.close(),
    publish: async (rows) => {
      const outcomes = new Outcomes(rows)
      const placed = rows.map((row, index) => ({ row, index }))
      await sendRows(placed, outcomes, send)
      return outcomes.all
    },
  }
}

function confirming(channel: ConfirmChannel): ConfirmingChannel {
  const removals: (() => void)[] = []
  let closed = false
  return {
    publish: (row, onConfirm) => {
      const { exchange, routingKey } = targetOf(row)
      channel.publish(exchange, routingKey, Buffer.from(row.payload), propertiesOf(row), onConfirm)
    },
    onReturn: (listener) => {
      const onReturn = ({ properties }: Message) => listener(String(properties.messageId))
      channel.on('return', onReturn)
      removals.push(() => channel.off('return', onReturn))
    },
    onClose: (listener) => {
      const onClose = () => {
        closed = true
        listener()
      }
      channel.prependOnceListener('close', onClose)
      removals.push(() => channel.off('close', onClose))
    },
    removeListeners: () => {
      for (const remove of removals) remove()
    },
    get closed() {
      return closed
    },
  }
}

/** @throws when the destination is no exchange with a routing key */
function targetOf({ destination }: OutboxRow): { exchange: string; routingKey: string } {
  const slash = destination.indexOf('/')
  const exchange = destination.slice(0, slash)
  const routingKey = destination.slice(slash + 1)
  if (slash < 0) throw new Error('no routing key')
  if (Buffer.byteLength(exchange) > nameBytesMax || Buffer.byteLength(routingKey) > nameBytesMax) {
    throw new Error(`a name is longer than ${nameBytesMax} bytes`)
  }
  return { exchange, routingKey }
}

// CloudEvents over AMQP 0-9-1: what has a property of its own is there, the attributes are headers.
function propertiesOf(row: OutboxRow): Options.Publish {
  const { 'content-type': contentType, ...headers } = row.headers
  const sentAt = Date.parse(headers['cloudEvents_time'] ?? '')
  return {
    persistent: true,
    mandatory: true,
    messageId: row.messageId,
    type: row.type,
    headers,
    ...(contentType !== undefined && { contentType }),
    ...(Number.isFinite(sentAt) && { timestamp: Math.floor(sentAt / 1000) }),
  }
}

// Too large, unless it says something else: a header `CC` or `BCC` that is text is one that RabbitMQ keeps for itself.
function refusal(error: Error): Error {
  if (/larger than/.test(error.message)) return error
  return new AppError('cannot-encode', error.message, { retry: 'permanent', cause: error })
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}

function nextTick(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
