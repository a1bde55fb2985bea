import { expect, test } from 'vitest'
import { customerAddress } from './customer-address.ts'

test.each(['ada', 'ada.lovelace', 'customer-7', 'a+b_c'])('%s is taken as it is', (id) => {
  expect(customerAddress(id, 'customers.example')).toBe(`${id}@customers.example`)
})

test('any other id is hashed, so that it is a valid address and no two are the same', () => {
  const ids = [
    'Ada',
    'ada ',
    'ada..b',
    '.ada',
    'ada@evil.example',
    'a\r\nBcc: eve',
    '',
    'x'.repeat(65),
  ]
  const addresses = ids.map((id) => customerAddress(id, 'customers.example'))
  for (const address of addresses)
    expect(address).toMatch(/^customer-[0-9a-f]{32}@customers\.example$/)
  expect(new Set(addresses).size).toBe(ids.length)
})
