import {
  KafkaJSConnectionError,
  KafkaJSError,
  KafkaJSNonRetriableError,
  KafkaJSNumberOfRetriesExceeded,
  KafkaJSProtocolError,
  KafkaJSRequestTimeoutError,
} from 'kafkajs'
import { describe, expect, test } from 'vitest'
import { isOutage, scopeOf } from './kafka-client.ts'

/** An error that the broker answered with, as kafkajs throws it. */
function answered(type: string, retriable = false): KafkaJSProtocolError {
  return new KafkaJSProtocolError(Object.assign(new Error(type), { type, retriable, code: 0 }))
}

/** An error after the last of several tries. */
function exhausted(error: Error): Error {
  return new KafkaJSNumberOfRetriesExceeded(error, { retryCount: 3, retryTime: 100 })
}

describe('what a failed send says', () => {
  test.each([
    ['MESSAGE_TOO_LARGE', 'row'],
    ['RECORD_LIST_TOO_LARGE', 'row'],
    ['UNKNOWN_TOPIC_OR_PARTITION', 'destination'],
    ['NOT_ENOUGH_REPLICAS', 'destination'],
    ['TOPIC_AUTHORIZATION_FAILED', 'destination'],
    ['NOT_LEADER_FOR_PARTITION', 'broker'],
  ])('%s is about the %s, also after several tries', (type, scope) => {
    expect(scopeOf(answered(type))).toBe(scope)
    expect(scopeOf(exhausted(answered(type, true)))).toBe(scope)
  })

  test('anything unknown is about the broker: no row is ever dead because of it', () => {
    expect(scopeOf(new KafkaJSConnectionError('refused'))).toBe('broker')
    expect(scopeOf(new TypeError('a bug of the client'))).toBe('broker')
    expect(scopeOf(new Error('no answer within 30000 ms'))).toBe('broker')
  })
})

describe('a consumer that crashed', () => {
  test.each([
    ['a refused connection', exhausted(new KafkaJSConnectionError('refused'))],
    ['no answer', new KafkaJSRequestTimeoutError('Fetch timed out', {} as never)],
    ['a coordinator that loads', exhausted(answered('GROUP_LOAD_IN_PROGRESS', true))],
    ['a topic that is not there yet', answered('UNKNOWN_TOPIC_OR_PARTITION')],
    ['anything that kafkajs calls retriable', new KafkaJSError('later')],
  ])('starts again after %s', (_, error) => {
    expect(isOutage(error)).toBe(true)
  })

  test.each([
    ['an error that no retry repairs', new KafkaJSNonRetriableError('wrong protocol')],
    ['a refused group', answered('GROUP_AUTHORIZATION_FAILED')],
    ['a bug', new TypeError('x is undefined')],
  ])('ends the process after %s', (_, error) => {
    expect(isOutage(error)).toBe(false)
  })
})
