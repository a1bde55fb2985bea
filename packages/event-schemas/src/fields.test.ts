import { expect, test } from 'vitest'
import { orderId } from './fields.ts'
import { newId } from './new-id.ts'

test.each(['3b9a1605-6ded-415e-ba62-665b60b7a3f7', '42', undefined])(
  '%s is no order id, and what is one is said',
  (id) => {
    expect(orderId.safeParse(id).error?.issues).toMatchObject([
      { message: 'expected a UUID of version 7' },
    ])
    expect(orderId.safeParse(newId()).success).toBe(true)
  },
)
