import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { incompatibilities } from './compatibility.ts'
import { readBody } from './contract.ts'
import { contracts } from './contracts.ts'
import { bodySchema, documents, schemaFile } from './documents.ts'
import { redriveServices } from './dead-letters.ts'
import { fromHeaders } from './headers.ts'
import * as all from './index.ts'
import { isExpress, queues } from './topology.ts'

const generated = new URL('../generated/', import.meta.url)
const golden = new URL('../golden/', import.meta.url)

const messages = z.array(z.object({ headers: z.record(z.string(), z.string()), body: z.unknown() }))

function readJson(file: URL): unknown {
  return JSON.parse(readFileSync(file, 'utf8'))
}

test('the list of contracts has every contract of the package', () => {
  const exported = Object.values(all).filter(
    (value) => typeof value === 'object' && 'destination' in value && 'body' in value,
  )
  expect(new Set(exported)).toEqual(new Set(contracts))
  expect(new Set(contracts.map((contract) => contract.type)).size).toBe(contracts.length)
})

describe.each(contracts.map((contract) => [contract.type, contract] as const))(
  '%s',
  (_, contract) => {
    test('has not changed in a way that breaks somebody since its schema was committed', () => {
      const committed = z
        .record(z.string(), z.unknown())
        .parse(readJson(new URL(schemaFile(contract), generated)))
      expect(incompatibilities(committed, bodySchema(contract))).toEqual([])
    })

    test('reads its golden messages, and loses nothing of them', () => {
      const examples = messages.parse(readJson(new URL(`${contract.type}.json`, golden)))
      expect(examples.length).toBeGreaterThan(0)
      for (const { headers, body } of examples) {
        const reading = fromHeaders(contract.destination.transport, headers)
        expect(reading).toMatchObject({ ok: true, envelope: { type: contract.type } })
        expect(readBody(contract, contract.type, body)).toEqual({ ok: true, body })
      }
    })
  },
)

test('the committed documents are up to date (pnpm --filter @edp/event-schemas generate)', () => {
  const wanted = documents(contracts)
  const files = readdirSync(generated, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.replaceAll('\\', '/'))
  expect(files.toSorted()).toEqual([...wanted.keys()].toSorted())
  for (const [name, document] of wanted) {
    expect(readJson(new URL(name, generated))).toEqual(JSON.parse(JSON.stringify(document)))
  }
})

test('every command and reply goes to a queue that is declared, by the exchange that it is bound to', () => {
  const declared = new Set(queues.map(({ exchange, name }) => `${exchange}/${name}`))
  const used = contracts.flatMap(({ destination }) =>
    destination.transport === 'rabbitmq'
      ? [destination.routingKey, destination.express ?? destination.routingKey].flatMap((key) =>
          redriveServices.map(
            (service) => `${destination.exchange}/${key.replace('{service}', service)}`,
          ),
        )
      : [],
  )
  expect(used.length).toBeGreaterThan(0)
  expect(used.filter((destination) => !declared.has(destination))).toEqual([])
})

test('every command and reply of a saga has an express class, which its name tells from the standard one', () => {
  const classes = contracts.flatMap(({ destination }) => {
    if (destination.transport === 'kafka' || destination.exchange === 'redrive') return []
    const { routingKey, express = 'none' } = destination
    return [[isExpress(routingKey), isExpress(express)]]
  })
  expect(classes).toEqual(Array.from({ length: 8 }, () => [false, true]))
})

test('every reference of the AsyncAPI document leads somewhere', () => {
  const document = readJson(new URL('asyncapi.json', generated))
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
    ([, reference = '']) => reference,
  )
  expect(references.length).toBeGreaterThan(contracts.length)
  const files = new Set([...documents(contracts).keys()].map((name) => `./${name}`))
  const leadsNowhere = references.filter((reference) =>
    reference.startsWith('#/') ? resolve(document, reference) === undefined : !files.has(reference),
  )
  expect(leadsNowhere).toEqual([])
})

function resolve(document: unknown, reference: string): unknown {
  let at = document
  for (const part of reference.slice(2).split('/')) {
    at = z.record(z.string(), z.unknown()).parse(at)[part]
  }
  return at
}
