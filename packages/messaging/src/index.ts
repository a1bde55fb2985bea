export { type DeadMessage, deadLetter, originOfLetter } from './dead-letter.ts'
export { fingerprintOf } from './fingerprint.ts'
export {
  type AllChanged,
  type AllKeys,
  type Changed,
  type Consumer,
  consumer,
  type Decision,
  type HandlerEntry,
  type Keys,
  type MessageHandler,
  on,
  type RowStore,
  type Rows,
  type Tables,
} from './handler.ts'
export { createIntake, type Fed, type Intake, type IntakeOptions } from './intake.ts'
export { createKafkaConsumer, type KafkaConsumerOptions } from './kafka-consumer.ts'
export { createKafkaPublisher, type KafkaPublisherOptions } from './kafka-publisher.ts'
export { deleteTopics, ensureTopics } from './kafka-topics.ts'
export { createMemoryBroker, type MemoryBroker } from './memory.ts'
export { createPipeline, type Pipeline, type PipelineOptions } from './pipeline.ts'
export { createRabbitConsumer, type RabbitConsumerOptions } from './rabbitmq-consumer.ts'
export { createRabbitPublisher, type RabbitPublisherOptions } from './rabbitmq-publisher.ts'
export { declareTopology, deleteTopology } from './rabbitmq-topology.ts'
export type { DueWork } from './redrive-rows.ts'
export type { RetryPolicy } from './retry-policy.ts'
export type { IncomingMessage } from './incoming-message.ts'
export { storableText } from './storable-text.ts'
export type { ConsumerOptions, Subscription } from './subscription.ts'
export { consumerRun, parkedMessage } from './tables.ts'
