import fc from 'fast-check'
import { expect, test } from 'vitest'
import { amountMinorMax, priceLines, type Product } from './prices.ts'

const catalogue = new Map<string, Product>(
  [
    { sku: 'cup', name: 'Cup', unitPriceMinor: 1200, currency: 'EUR' },
    { sku: 'pot', name: 'Pot', unitPriceMinor: 3900, currency: 'EUR' },
    { sku: 'mug', name: 'Mug', unitPriceMinor: 900, currency: 'USD' },
  ].map((product) => [product.sku, product]),
)

test('each line gets its price, and the order their sum', () => {
  const lines = [
    { sku: 'pot', quantity: 2 },
    { sku: 'cup', quantity: 1 },
  ]
  expect(priceLines(lines, 'EUR', catalogue)).toEqual({
    ok: true,
    lines: [
      { sku: 'pot', quantity: 2, unitPriceMinor: 3900 },
      { sku: 'cup', quantity: 1, unitPriceMinor: 1200 },
    ],
    amountMinor: 9000,
  })
})

test('every line that cannot be sold is named, also when others can', () => {
  const lines = [
    { sku: 'spoon', quantity: 1 },
    { sku: 'cup', quantity: 1 },
    { sku: 'mug', quantity: 1 },
  ]
  expect(priceLines(lines, 'EUR', catalogue)).toEqual({
    ok: false,
    problems: [
      { path: 'lines.0.sku', message: 'there is no product spoon' },
      { path: 'lines.2.sku', message: 'mug is sold in USD, not in EUR' },
    ],
  })
})

test('an order may cost the most there is, and not a cent more', () => {
  const gold = { sku: 'gold', name: 'Gold', unitPriceMinor: amountMinorMax, currency: 'EUR' }
  const cent = { sku: 'cent', name: 'Cent', unitPriceMinor: 1, currency: 'EUR' }
  const dear = new Map([gold, cent].map((product) => [product.sku, product]))
  const one = { sku: 'gold', quantity: 1 }
  expect(priceLines([one], 'EUR', dear)).toMatchObject({ ok: true, amountMinor: 99_999_999 })
  expect(priceLines([one, { sku: 'cent', quantity: 1 }], 'EUR', dear)).toEqual({
    ok: false,
    problems: [
      { path: 'lines', message: 'costs 100000000 in minor units, an order at most 99999999' },
    ],
  })
  const most = Array.from({ length: 50 }, () => ({ sku: 'gold', quantity: 1_000_000 }))
  const refused = priceLines(most, 'EUR', dear)
  expect(refused.ok ? [] : refused.problems).toEqual([
    { path: 'lines', message: expect.stringContaining('costs 4999999950000000 ') },
  ])
})

test('the amount is what its lines say', () => {
  const line = fc.record({
    sku: fc.constantFrom('cup', 'pot'),
    // 50 lines of them may still be sold.
    quantity: fc.integer({ min: 1, max: 500 }),
  })
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 50 }), (lines) => {
      const pricing = priceLines(lines, 'EUR', catalogue)
      if (!pricing.ok) throw new Error('the catalogue has both')
      const sum = pricing.lines.reduce((total, of) => total + of.quantity * of.unitPriceMinor, 0)
      expect(pricing.amountMinor).toBe(sum)
    }),
  )
})
