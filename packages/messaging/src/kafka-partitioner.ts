import type { ICustomPartitioner } from 'kafkajs'

const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/**
 * The murmur2 hash of Kafka's Java client, of a text as UTF-8. `Math.imul` is the 32-bit multiplication that it is defined
 * with.
 */
export function murmur2(key: string): number {
  const data = Buffer.from(key)
  const { length } = data
  const blocksEnd = length & ~3
  let hash = seed ^ length
  for (let at = 0; at < blocksEnd; at += 4) {
    let block = Math.imul(data.readInt32LE(at), multiplier)
    block = Math.imul(block ^ (block >>> 24), multiplier)
    hash = Math.imul(hash, multiplier) ^ block
  }
  if (blocksEnd < length) hash = Math.imul(hash ^ rest(data, blocksEnd), multiplier)
  hash = Math.imul(hash ^ (hash >>> 13), multiplier)
  return hash ^ (hash >>> 15)
}

/** The last one to three bytes, the first of them lowest. */
function rest(data: Buffer, from: number): number {
  let value = 0
  for (let at = data.length - 1; at >= from; at -= 1) value = (value << 8) | data.readUInt8(at)
  return value
}

/** The partition of a key: the one that Java's default partitioner, and so every other client, chooses. */
export function partitionOf(key: string, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

/**
 * A partitioner for messages that all have keys. It tells what it learns about the topics, so that a sender can foresee
 * which messages share a partition.
 * @param partitionCounts by topic; filled as messages are sent
 */
export function keyPartitioner(partitionCounts: Map<string, number>): ICustomPartitioner {
  return () =>
    ({ topic, partitionMetadata, message }) => {
      partitionCounts.set(topic, partitionMetadata.length)
      return partitionOf(String(message.key), partitionMetadata.length)
    }
}
