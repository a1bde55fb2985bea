import { stack, uniqueNamespace, waitFor } from '@edp/testkit'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { deleteTopics, ensureTopics } from '../src/index.ts'

const brokers = stack().kafkaBrokers
const topics = [
  { name: 'first.events', partitions: 2 },
  { name: 'second.events', partitions: 3 },
]

test('topics are made once, with their partitions, and deleted with their namespace only', async () => {
  const namespace = uniqueNamespace()
  const other = uniqueNamespace()
  await ensureTopics({ brokers, namespace, topics })
  await ensureTopics({ brokers, namespace, topics })
  await ensureTopics({ brokers, namespace: other, topics: topics.slice(0, 1) })
  expect(await partitionsOf(namespace)).toEqual({ 'first.events': 2, 'second.events': 3 })
  const deleteAll = () => deleteTopics({ brokers, namespace, topics })
  await Promise.all([deleteAll(), deleteAll()])
  await deleteAll()
  await waitFor(() => partitionsOf(namespace), {
    message: 'the topics are gone',
    until: (found) => Object.keys(found).length === 0,
  })
  expect(await partitionsOf(other)).toEqual({ 'first.events': 2 })
  await deleteTopics({ brokers, namespace: other, topics })
})

/** Partitions by topic, of those that are in a namespace. */
async function partitionsOf(namespace: string): Promise<Record<string, number>> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const names = (await admin.listTopics()).filter((name) => name.startsWith(`${namespace}.`))
    if (names.length === 0) return {}
    const { topics: found } = await admin.fetchTopicMetadata({ topics: names })
    return Object.fromEntries(
      found.map(({ name, partitions }) => [name.slice(namespace.length + 1), partitions.length]),
    )
  } finally {
    await admin.disconnect()
  }
}
