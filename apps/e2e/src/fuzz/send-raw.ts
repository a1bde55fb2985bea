import { type ConfirmChannel, connect } from 'amqplib'
import { type IHeaders, Kafka, logLevel, Partitioners, type Producer } from 'kafkajs'
import type { System } from '../system.ts'
import type { FuzzMessage, SentHeader } from './fuzz-message.ts'

/** Sends what no publisher of ours would: any bytes, any headers. */
export interface RawSender {
  /**
   * Resolves when the brokers have the messages. @returns those that were sent: what the protocol has no way to write cannot be
   * @throws when a broker refuses one
   */
  send(messages: readonly FuzzMessage[]): Promise<FuzzMessage[]>
  close(): Promise<void>
}

/** Connects to both brokers of a system. */
export async function openRawSender(system: System): Promise<RawSender> {
  const { name: namespace, kafkaBrokers: brokers } = system
  const kafka = new Kafka({ brokers, clientId: 'fuzz', logLevel: logLevel.NOTHING })
  const createPartitioner = Partitioners.DefaultPartitioner
  const producer = kafka.producer({ allowAutoTopicCreation: false, createPartitioner })
  await producer.connect()
  const connection = await connect(system.rabbitmqUrl)
  const channel = await connection.createConfirmChannel()
  return {
    send: async (messages) => {
      const ofKafka = messages.filter(({ wayIn }) => wayIn.transport === 'kafka')
      const ofRabbit = messages.filter(({ wayIn }) => wayIn.transport === 'rabbitmq')
      await sendToKafka(producer, namespace, ofKafka)
      return [...ofKafka, ...(await sendToRabbit(channel, namespace, ofRabbit))]
    },
    close: async () => {
      await producer.disconnect()
      await connection.close()
    },
  }
}

/** Below what a broker takes in one request and batch. */
const requestBytesMax = 800_000

async function sendToKafka(
  producer: Producer,
  namespace: string,
  messages: readonly FuzzMessage[],
): Promise<void> {
  let bytes = 0
  let batch: FuzzMessage[] = []
  const flush = async (): Promise<void> => {
    const topics = Map.groupBy(batch, ({ wayIn }) => wayIn.name)
    batch = []
    bytes = 0
    await producer.sendBatch({
      acks: -1,
      topicMessages: [...topics].map(([topic, ofTopic]) => ({
        topic: `${namespace}.${topic}`,
        messages: ofTopic.map(({ key, headers, body }) => ({
          key,
          value: body,
          headers: kafkaHeaders(headers),
        })),
      })),
    })
  }
  for (const message of messages) {
    const size = message.body?.byteLength ?? 0
    if (batch.length > 0 && bytes + size > requestBytesMax) await flush()
    batch.push(message)
    bytes += size
  }
  if (batch.length > 0) await flush()
}

function kafkaHeaders(headers: Readonly<Record<string, SentHeader>>): IHeaders {
  const sent: IHeaders = {}
  for (const [name, value] of Object.entries(headers)) {
    if (Array.isArray(value)) sent[name] = value.map(String)
    else if (typeof value === 'string' || Buffer.isBuffer(value)) sent[name] = value
    else sent[name] = JSON.stringify(value)
  }
  return sent
}

/** Says where else a message goes, as an array: RabbitMQ closes the channel over anything else. */
const brokersOwn = ['CC', 'BCC'] as const

async function sendToRabbit(
  channel: ConfirmChannel,
  namespace: string,
  messages: readonly FuzzMessage[],
): Promise<FuzzMessage[]> {
  const sent = messages.filter((message) => publish(channel, namespace, message))
  await channel.waitForConfirms()
  return sent
}

function publish(channel: ConfirmChannel, namespace: string, message: FuzzMessage): boolean {
  const { wayIn, body } = message
  const { 'content-type': contentType, ...headers } = message.headers
  if (brokersOwn.some((name) => name in headers)) return false
  const exchange = `${namespace}.${wayIn.exchange}`
  try {
    channel.publish(exchange, `${namespace}.${wayIn.name}`, body ?? Buffer.alloc(0), {
      headers,
      persistent: true,
      ...(typeof contentType === 'string' && { contentType }),
    })
    return true
  } catch {
    // A name of more than 255 bytes, a number beyond its type: nothing was written.
    return false
  }
}
