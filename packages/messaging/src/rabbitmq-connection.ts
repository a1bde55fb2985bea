import type { Logger } from '@edp/runtime'
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib'

const connectTimeoutMs = 10_000
// A broker that fell silent is noticed after two of these.
const heartbeatSeconds = 10

/** A connection to RabbitMQ with a confirm channel, which is made again when it was closed alone. */
export interface RabbitConnection {
  /** @throws when the connection is gone */
  channel(): Promise<ConfirmChannel>
  /** The connection is gone, and every channel with it. */
  readonly lost: boolean
  /** Why the last channel, or the connection, was closed. */
  readonly channelError: unknown
  close(): Promise<void>
}

/** Who connects where. */
export interface RabbitConnectionOptions {
  url: string
  /** Shown in the broker's management page. */
  name: string
  logger?: Logger | undefined
}

/** Connects with our bounds. @throws when the broker does not answer within 10 s */
export function connectToRabbit(options: RabbitConnectionOptions): Promise<ChannelModel> {
  const url = new URL(options.url)
  if (!url.searchParams.has('heartbeat')) {
    url.searchParams.set('heartbeat', String(heartbeatSeconds))
  }
  return connect(url.href, {
    timeout: connectTimeoutMs,
    noDelay: true,
    keepAlive: true,
    clientProperties: { connection_name: options.name },
  })
}

/** Connects, for publishing. @throws when the broker does not answer within 10 s */
export async function openRabbitConnection(
  options: RabbitConnectionOptions,
): Promise<RabbitConnection> {
  const { logger } = options
  const model = await connectToRabbit(options)
  let lost = false
  let lastError: unknown
  // Without a listener an error would end the process.
  const onError = (error: unknown): void => {
    lastError = error
    logger?.warn({ err: error }, 'RabbitMQ closed a channel or the connection')
  }
  model.on('error', onError)
  model.on('blocked', (reason) => logger?.warn({ reason }, 'RabbitMQ takes no messages for now'))
  model.on('close', () => {
    lost = true
  })
  let current: Promise<ConfirmChannel> | undefined
  const forget = (): void => {
    current = undefined
  }
  return {
    channel: () => (current ??= openChannel(model, { onError, onClose: forget })),
    get lost() {
      return lost
    },
    get channelError() {
      return lastError
    },
    close: async () => {
      if (!lost) await model.close()
    },
  }
}

async function openChannel(
  model: ChannelModel,
  on: { onError: (error: unknown) => void; onClose: () => void },
): Promise<ConfirmChannel> {
  try {
    const channel = await model.createConfirmChannel()
    channel.on('error', on.onError)
    channel.on('close', on.onClose)
    return channel
  } catch (error) {
    on.onClose()
    throw error
  }
}
