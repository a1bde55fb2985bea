import { topics } from '@edp/event-schemas'
import { ensureTopics } from '@edp/messaging'
import type { Endpoints, Settings } from './settings.ts'
import { messageOf, StackError } from './stack-error.ts'

/** Creates the Kafka topics and the RabbitMQ exchanges and queues. What exists stays as it is. */
export async function prepareMessaging(endpoints: Endpoints, settings: Settings): Promise<void> {
  const { namespace } = settings
  const brokers = endpoints.kafkaBrokers.split(',').map((broker) => broker.trim())
  try {
    await ensureTopics({ brokers, namespace, topics })
  } catch (error) {
    throw new StackError(`Kafka refuses the topics: ${messageOf(error)}`)
  }
}
