import { BenchTopic, type Keys, sendRows } from './bench-topic.ts'
import type { BenchmarkContext, Row } from './types.ts'

const benchmark = 'kafkajs-send'
const messages = 200_000
const warmUpMessages = 50_000

/** What the Kafka client alone sends: the messages of `relay-drain`, made beforehand, in the same batches. */
export async function run({ log }: BenchmarkContext): Promise<Row[]> {
  const topic = new BenchTopic()
  await topic.create()
  try {
    log('warm-up')
    await topic.clientRate(topic.rows('many keys'), warmUpMessages)
    const rows: Row[] = []
    const all: Keys[] = ['many keys', 'one hot key']
    for (const keys of all) {
      const { perSecond, cpuMicros } = await topic.clientRate(topic.rows(keys), messages)
      log(`${keys}: ${Math.round(perSecond)}/s, ${cpuMicros.toFixed(1)} µs of CPU each`)
      const settings = { messages, keys, batch: sendRows }
      rows.push(
        { benchmark, metric: 'throughput', value: perSecond, unit: 'events/s', settings },
        { benchmark, metric: 'CPU', value: cpuMicros, unit: 'µs/event', settings },
      )
    }
    return rows
  } finally {
    await topic.remove()
  }
}
