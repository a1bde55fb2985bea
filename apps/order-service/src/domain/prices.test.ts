import fc from 'fast-check'
import { expect, test } from 'vitest'
import { priceLines, type Product, unitPriceMinorMax } from './prices.ts'

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
      { index: 0, message: 'there is no product spoon' },
      { index: 2, message: 'mug is sold in USD, not in EUR' },
    ],
  })
})

test('the largest order is still counted exactly', () => {
  const sku = 'gold'
  const product = { sku, name: 'Gold', unitPriceMinor: unitPriceMinorMax, currency: 'EUR' }
  const dear = new Map([[sku, product]])
  const lines = Array.from({ length: 50 }, () => ({ sku, quantity: 1_000_000 }))
  const pricing = priceLines(lines, 'EUR', dear)
  expect(pricing.ok && Number.isSafeInteger(pricing.amountMinor)).toBe(true)
})

test('the amount is what its lines say', () => {
  const line = fc.record({
    sku: fc.constantFrom('cup', 'pot'),
    quantity: fc.integer({ min: 1, max: 1_000_000 }),
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
