import type { Endpoints, Settings } from './settings.ts'

/** Creates the Kafka topics and the RabbitMQ exchanges and queues. */
export async function prepareMessaging(_endpoints: Endpoints, _settings: Settings): Promise<void> {}
