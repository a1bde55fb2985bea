import { deadLetterQueue, queues, topics } from '@edp/event-schemas'
import { expect, test } from 'vitest'
import { waysIn } from './ways-in.ts'

test('no topic and no queue is forgotten', () => {
  const declared = [...topics, ...queues, deadLetterQueue].map(({ name }) => name)
  expect(waysIn.map(({ name }) => name).toSorted()).toEqual(declared.toSorted())
})
