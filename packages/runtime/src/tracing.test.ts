import { expect, test } from 'vitest'
import { traceparentFrom } from './tracing.ts'

const valid = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'

test('a valid header keeps its trace and flags and gets a new span', () => {
  const next = traceparentFrom(valid)
  expect(next).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/)
  expect(next).not.toBe(valid)
})

test.each([
  undefined,
  '',
  'garbage',
  valid.replace('00-', 'ff-'),
  `00-${'0'.repeat(32)}-b7ad6b7169203331-01`,
  `00-0af7651916cd43dd8448eb211c80319c-${'0'.repeat(16)}-01`,
])('%j starts a new trace', (header) => {
  const [first, second] = [traceparentFrom(header), traceparentFrom(header)]
  expect(first).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  expect(first).not.toBe(second)
})
