import { z } from 'zod'
import type { JsonSchema } from './compatibility.ts'
import type { Contract, Destination } from './contract.ts'
import { envelope } from './envelope.ts'
import { headerOf, type Transport } from './headers.ts'
import { topics } from './topology.ts'

/** The published schema of a message's body. Producers are strict; consumers ignore fields that they do not know. */
export function bodySchema(contract: Contract): JsonSchema {
  return { title: contract.type, ...z.toJSONSchema(contract.body, { io: 'input' }) }
}

/** The file of a contract's schema, in the folder of the generated documents. */
export function schemaFile(contract: Contract): string {
  return `schemas/${contract.type}.json`
}

/** Every document that is generated from the contracts, by file name. */
export function documents(contracts: readonly Contract[]): Map<string, object> {
  return new Map<string, object>([
    ...contracts.map((contract) => [schemaFile(contract), bodySchema(contract)] as const),
    ['asyncapi.json', asyncApi(contracts)],
  ])
}

function asyncApi(contracts: readonly Contract[]): object {
  const transports = new Set(contracts.map((contract) => contract.destination.transport))
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'event-driven-patterns',
      version: '1.0.0',
      description:
        'The facts that the services publish, and the commands between them. CloudEvents 1.0 in binary mode: attributes are headers, the body is the data alone. Messages of one order keep their order within a Kafka topic; the order of two topics is never relied on.',
    },
    defaultContentType: 'application/json',
    channels: channelsOf(contracts),
    components: {
      messages: Object.fromEntries(
        contracts.map((contract) => [contract.type, messageOf(contract)]),
      ),
      schemas: Object.fromEntries(
        [...transports].map((transport) => [`${transport}-headers`, headersSchema(transport)]),
      ),
    },
  }
}

function channelsOf(contracts: readonly Contract[]): Record<string, object> {
  const messages = new Map<string, Record<string, object>>()
  const channels: Record<string, object> = {}
  for (const { type, destination } of contracts) {
    for (const name of namesOf(destination)) {
      const ofChannel = messages.get(name) ?? {}
      ofChannel[type] = { $ref: `#/components/messages/${type}` }
      messages.set(name, ofChannel)
      channels[name] = {
        address: `{namespace}.${name}`,
        parameters: {
          namespace: { default: 'edp', description: 'lets tests and deployments share a broker' },
        },
        messages: ofChannel,
        bindings: destination.transport === 'kafka' ? kafkaBinding(name) : amqpBinding(name),
      }
    }
  }
  return channels
}

function namesOf(destination: Destination): string[] {
  if (destination.transport === 'kafka') return [destination.topic]
  const { routingKey, express } = destination
  return express === undefined ? [routingKey] : [routingKey, express]
}

function kafkaBinding(name: string): object {
  const topic = topics.find((candidate) => candidate.name === name)
  return { kafka: { partitions: topic?.partitions ?? 1 } }
}

function amqpBinding(name: string): object {
  return { amqp: { is: 'queue', queue: { name, durable: true, exclusive: false } } }
}

function messageOf(contract: Contract): object {
  const { transport } = contract.destination
  return {
    name: contract.type,
    contentType: 'application/json',
    correlationId: { location: `$message.header#/${headerOf(transport, 'correlationid')}` },
    headers: { $ref: `#/components/schemas/${transport}-headers` },
    payload: {
      schemaFormat: 'application/schema+json;version=draft-2020-12',
      schema: { $ref: `./${schemaFile(contract)}` },
    },
    ...(transport === 'kafka' && {
      bindings: { kafka: { key: { type: 'string', description: 'the order id' } } },
    }),
  }
}

/** The envelope as the headers of a transport: every attribute is text there. */
function headersSchema(transport: Transport): JsonSchema {
  const { properties = {}, required = [] } = z.toJSONSchema(envelope, { io: 'input' })
  const headers: Record<string, unknown> = {
    [headerOf(transport, 'specversion')]: { type: 'string', const: '1.0' },
  }
  for (const [name, schema] of Object.entries(properties)) {
    headers[headerOf(transport, name)] =
      name === 'attempt' ? { type: 'string', pattern: '^[1-9][0-9]*$' } : schema
  }
  return {
    type: 'object',
    properties: headers,
    required: [
      headerOf(transport, 'specversion'),
      ...required.map((name) => headerOf(transport, name)),
    ],
  }
}
