import { consumerName, redriveServices } from '@edp/event-schemas'

/** The service of a consumer: `inventory-service` of `inventory-service.kafka`. */
export function serviceOf(consumer: string): string {
  return consumer.slice(0, Math.max(0, consumer.indexOf('.')))
}

/** Whether the service of a consumer has a queue for letters that are sent back or given up. */
export function takesLettersBack(consumer: string): boolean {
  return redriveServices.includes(serviceOf(consumer))
}

/**
 * Who consumes a queue: of `edp.inventory.commands` `inventory-service.rabbitmq`, of `edp.inventory-service.redrive` the same.
 * Undefined for a queue that is none of ours.
 */
export function consumerOfQueue(queue: string, namespace: string): string | undefined {
  const prefix = `${namespace}.`
  if (!queue.startsWith(prefix)) return undefined
  const [owner = ''] = queue.slice(prefix.length).split('.')
  const service = redriveServices.find((name) => name === owner || name === `${owner}-service`)
  return service && consumerName.parse(`${service}.rabbitmq`)
}
