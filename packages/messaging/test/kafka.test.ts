import { createLogger } from '@edp/runtime'
import { stack, uniqueNamespace } from '@edp/testkit'
import { createKafkaConsumer, createKafkaPublisher, ensureTopics } from '../src/index.ts'
import { type ConsumingBroker, describeConsumer } from './conformance-consumer.ts'
import { describeFailures } from './conformance-failures.ts'
import { describePublisher } from './conformance-publisher.ts'
import { counterTopic } from './fixtures/counter-service.ts'
import { readTopic } from './fixtures/read-topic.ts'

const brokers = stack().kafkaBrokers
const namespace = uniqueNamespace()
const logger = createLogger('kafka-test', 'silent')

describePublisher('Kafka', () => ({
  createPublisher: () => createKafkaPublisher({ brokers, clientId: 'conformance', logger }),
  destination: async (name) => {
    await ensureTopics({ brokers, namespace, topics: [{ name, partitions: 3 }] })
    return `${namespace}.${name}`
  },
  missingDestination: `${namespace}.missing`,
  refusedBytes: 1100 * 1024,
  read: (destination, count) =>
    readTopic((options) => createKafkaConsumer({ ...options, brokers }), {
      namespace,
      topic: destination.slice(namespace.length + 1),
      count,
    }),
}))

const kafka: ConsumingBroker = {
  createPublisher: () => createKafkaPublisher({ brokers, clientId: 'conformance', logger }),
  createConsumer: (options) => createKafkaConsumer({ ...options, brokers }),
  prepare: (prefix) => ensureTopics({ brokers, namespace: prefix, topics: [counterTopic] }),
}

describeConsumer('Kafka', 'kafka', () => kafka)
describeFailures('Kafka', 'kafka', () => kafka)
