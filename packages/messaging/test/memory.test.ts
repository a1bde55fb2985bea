import { uniqueNamespace } from '@edp/testkit'
import { createMemoryBroker } from '../src/index.ts'
import { type ConsumingBroker, describeConsumer } from './conformance-consumer.ts'
import { describeFailures } from './conformance-failures.ts'
import { describePublisher } from './conformance-publisher.ts'
import { readTopic } from './fixtures/read-topic.ts'

const broker = createMemoryBroker()
const namespace = uniqueNamespace()

describePublisher('memory', () => ({
  createPublisher: () => broker.createPublisher(),
  destination: async (name) => `${namespace}.${name}`,
  missingDestination: undefined,
  refusedBytes: undefined,
  read: (destination, count) =>
    readTopic((options) => broker.createConsumer(options), {
      namespace,
      topic: destination.slice(namespace.length + 1),
      count,
    }),
}))

const inMemory: ConsumingBroker = {
  createPublisher: () => broker.createPublisher(),
  createConsumer: (options) => broker.createConsumer(options),
  prepare: async () => undefined,
}

describeConsumer('topics in memory', 'kafka', () => inMemory)
describeConsumer('queues in memory', 'rabbitmq', () => inMemory)
describeFailures('topics in memory', 'kafka', () => inMemory)
describeFailures('queues in memory', 'rabbitmq', () => inMemory)
