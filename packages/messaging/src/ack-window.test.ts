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

function windowOf(count: number): AckWindow<Delivery> {
  const window = new AckWindow<Delivery>()
  window.arrive(deliveries(...Array.from({ length: count }, (_, index) => index + 1)))
  return window
}

test('acknowledges up to the last of what is handled without a gap', () => {
  const window = windowOf(6)
  expect(tagOf(window.settle(deliveries(1, 2, 3)))).toBe(3)
  expect(window.settle(deliveries(5, 6))).toBeUndefined()
  expect(tagOf(window.settle(deliveries(4)))).toBe(6)
  expect(window.takeRuns()).toEqual([])
})

test('gives what lies behind a gap in runs, up to the last that is handled, and only once', () => {
  const window = windowOf(9)
  expect(tagOf(window.settle(deliveries(1, 5, 4)))).toBe(1)
  window.settle(deliveries(7))
  const runs = window.takeRuns().map(({ last, isHandled }) => [tagOf(last), isHandled])
  expect(runs).toEqual([
    [3, false],
    [5, true],
    [6, false],
    [7, true],
  ])
  expect(window.takeRuns()).toEqual([])
})

test('whatever the order, a delivery is covered only once it is handled, and each handled one is covered in the end', () => {
  const all = Array.from({ length: 40 }, (_, index) => index + 1)
  const orders = fc.record({
    order: fc.shuffledSubarray(all),
    sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 40, maxLength: 40 }),
  })
  fc.assert(
    fc.property(orders, ({ order, sizes }) => {
      const window = windowOf(all.length)
      const handled = new Set<number>()
      const covered = new Set<number>()
      const rest = [...order]
      let upTo = 0
      const cover = (last: number): void => {
        for (; upTo < last; upTo += 1) covered.add(upTo + 1)
      }
      for (const size of sizes) {
        const tags = rest.splice(0, size)
        for (const tag of tags) handled.add(tag)
        cover(tagOf(window.settle(deliveries(...tags))) ?? 0)
        expect([...covered].filter((tag) => !handled.has(tag))).toEqual([])
      }
      for (const { last, isHandled } of window.takeRuns()) {
        if (isHandled) cover(last.fields.deliveryTag)
        else upTo = last.fields.deliveryTag
      }
      expect(covered).toEqual(handled)
    }),
  )
})
