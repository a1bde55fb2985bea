import { Partitioners } from 'kafkajs'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './kafka-partitioner.ts'

// From the tests of Kafka's Java client (UtilsTest.testMurmur2).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('hashes %s as the Java client does', (key, hash) => {
  expect(murmur2(key)).toBe(hash)
})

test('sends every key to the partition that the default partitioner of kafkajs chooses', () => {
  const theirs = Partitioners.DefaultPartitioner()
  const keys = [
    '',
    'é',
    'ключ',
    '☕☕☕',
    ...Array.from({ length: 500 }, (_, n) => `01939e7a-${n}-${'x'.repeat(n % 9)}`),
  ]
  for (const partitions of [1, 3, 6, 12]) {
    const partitionMetadata = Array.from({ length: partitions }, (_, partitionId) => ({
      partitionId,
      partitionErrorCode: 0,
      leader: 1,
      replicas: [1],
      isr: [1],
    }))
    for (const key of keys) {
      const chosen = theirs({ topic: 't', partitionMetadata, message: { key, value: '' } })
      expect(partitionOf(key, partitions)).toBe(chosen)
    }
  }
})
