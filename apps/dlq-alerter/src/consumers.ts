import {
  deadLetterQueue,
  messageDeadLetteredV1,
  messageResolvedV1,
  messageWaitingV1,
} from '@edp/event-schemas'
import type { Subscription } from '@edp/messaging'
import { serviceName } from './service-name.ts'

/** What the services say of their dead letters. */
export const kafkaConsumer: Subscription = {
  name: `${serviceName}.kafka`,
  handlers: new Map(
    [messageDeadLetteredV1, messageResolvedV1, messageWaitingV1].map((contract) => [
      contract.name,
      { contract },
    ]),
  ),
}

/** What RabbitMQ itself dead-lettered: messages of any type, or of none. */
export const rabbitmqConsumer: Subscription = {
  name: `${serviceName}.rabbitmq`,
  handlers: new Map([
    [
      deadLetterQueue.name,
      {
        contract: {
          destination: {
            transport: 'rabbitmq',
            exchange: deadLetterQueue.exchange,
            routingKey: deadLetterQueue.name,
          },
        },
      },
    ],
  ]),
}
