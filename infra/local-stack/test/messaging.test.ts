import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { topics } from '@edp/event-schemas'
import { declareTopology, deleteTopics, deleteTopology } from '@edp/messaging'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { prepareMessaging } from '../src/messaging.ts'
import { localEndpoints, readSettings, type Settings } from '../src/settings.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

// The servers that run already, in a namespace of their own for each test.
const ofStack = readSettings(process.env, ROOT)
const endpoints = ofStack.external ?? localEndpoints(ofStack)
const url = endpoints.rabbitmqUrl
const otherLetters = { name: 'other-dlq', exchange: 'other-dlx' }
let settings: Settings

beforeEach(() => {
  const namespace = `stack-test-${randomBytes(4).toString('hex')}`
  settings = { ...ofStack, namespace, dir: mkdtempSync(join(tmpdir(), 'edp-messaging-')) }
})

afterEach(async () => {
  const { namespace, dir } = settings
  await deleteTopology({ url, namespace })
  await deleteTopology({ url, namespace, queues: [], deadLetterQueue: otherLetters })
  await deleteTopics({ brokers: endpoints.kafkaBrokers.split(','), namespace, topics })
  rmSync(dir, { recursive: true })
})

it('makes topics and queues in its namespace, as the services declare them, and again without harm', async () => {
  await prepareMessaging(endpoints, settings, 'external')
  await prepareMessaging(endpoints, settings, 'external')
  // RabbitMQ refuses a declaration that differs in any argument.
  const declared = declareTopology({ url, namespace: settings.namespace })
  await expect(declared).resolves.toBeUndefined()
})

it('names a queue that exists with other arguments, and says what to do', async () => {
  const { namespace } = settings
  await declareTopology({ url, namespace, deadLetterQueue: otherLetters })
  await expect(prepareMessaging(endpoints, settings, 'external')).rejects.toThrow(
    new RegExp(
      `RabbitMQ: the queue ${namespace}\\.inventory\\.commands is another one; .*delete it.*x-dead-letter-exchange`,
    ),
  )
})
