import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AckWindow } from './ack-window.ts'

type Delivery = { fields: { deliveryTag: number } }

function deliveries(...tags: number[]): Delivery[] {
  return tags.map((deliveryTag) => ({ fields: { deliveryTag } }))
}

function tagOf(delivery: Delivery | undefined): number | undefined {
  return delivery?.fields.deliveryTag
}

test('acknowledges up to the last of what is handled without a gap', () => {
  const window = new AckWindow<Delivery>()
  expect(tagOf(window.settle(deliveries(1, 2, 3)))).toBe(3)
  expect(window.settle(deliveries(5, 6))).toBeUndefined()
  expect(tagOf(window.settle(deliveries(4)))).toBe(6)
  expect(window.takeRest()).toEqual([])
})

test('gives what lies behind a gap one by one, and only once', () => {
  const window = new AckWindow<Delivery>()
  expect(tagOf(window.settle(deliveries(1, 4, 3)))).toBe(1)
  expect(window.takeRest()).toEqual(deliveries(4, 3))
  expect(window.takeRest()).toEqual([])
})

test('whatever the order, a delivery is covered only once it is handled, and each handled one is covered in the end', () => {
  const all = Array.from({ length: 40 }, (_, index) => index + 1)
  const orders = fc.record({
    order: fc.shuffledSubarray(all),
    sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 40, maxLength: 40 }),
  })
  fc.assert(
    fc.property(orders, ({ order, sizes }) => {
      const window = new AckWindow<Delivery>()
      const handled = new Set<number>()
      const covered = new Set<number>()
      const rest = [...order]
      for (const size of sizes) {
        const tags = rest.splice(0, size)
        for (const tag of tags) handled.add(tag)
        const upTo = tagOf(window.settle(deliveries(...tags))) ?? 0
        for (let tag = 1; tag <= upTo; tag += 1) covered.add(tag)
        expect([...covered].filter((tag) => !handled.has(tag))).toEqual([])
      }
      for (const { fields } of window.takeRest()) covered.add(fields.deliveryTag)
      expect(covered).toEqual(handled)
    }),
  )
})
