import { expect, test } from 'vitest'
import { z } from 'zod'
import { incompatibilities, type JsonSchema } from './compatibility.ts'

const line = z.object({ sku: z.string(), quantity: z.int().max(10) })
const before = z.object({
  id: z.uuid(),
  note: z.string().optional(),
  reason: z.enum(['a', 'b']),
  lines: z.array(line).min(1),
  payment: z.object({ currency: z.string() }),
})

function problemsOf(after: z.ZodType): string[] {
  return incompatibilities(schemaOf(before), schemaOf(after))
}

function schemaOf(schema: z.ZodType): JsonSchema {
  return { ...z.toJSONSchema(schema, { io: 'input' }) }
}

test.each([
  ['nothing', before],
  ['a new optional field', before.extend({ gift: z.boolean().optional() })],
  [
    'a new optional field inside a list',
    before.extend({ lines: z.array(line.extend({ gift: z.boolean().optional() })).min(1) }),
  ],
  ['a description', before.extend({ id: z.uuid().describe('of the order') })],
])('%s may change within a version', (_, after) => {
  expect(problemsOf(after)).toEqual([])
})

test.each([
  ['a removed field', before.omit({ note: true }), 'body.note: was removed'],
  ['a new required field', before.extend({ gift: z.boolean() }), 'body.gift: is new and required'],
  [
    'an optional field that becomes required',
    before.extend({ note: z.string() }),
    'body.note: became required',
  ],
  [
    'a required field that becomes optional',
    before.extend({ id: z.uuid().optional() }),
    'body.id: became optional',
  ],
  [
    'another type',
    before.extend({ note: z.int().optional() }),
    'body.note: type was "string", is "integer"',
  ],
  [
    'a narrower type',
    before.extend({ lines: z.array(line.extend({ quantity: z.int().max(5) })).min(1) }),
    'body.lines[].quantity: maximum was 10, is 5',
  ],
  [
    'a wider type, poison to an old consumer',
    before.extend({ lines: z.array(line) }),
    'body.lines: minItems was 1, is not there',
  ],
  [
    'a value of an enum that is gone',
    before.extend({ reason: z.enum(['a']) }),
    'body.reason: enum was ["a","b"], is ["a"]',
  ],
  [
    'a new value of an enum, poison to an old consumer',
    before.extend({ reason: z.enum(['a', 'b', 'c']) }),
    'body.reason: enum was ["a","b"], is ["a","b","c"]',
  ],
  [
    'a field removed inside an object',
    before.extend({ payment: z.object({}) }),
    'body.payment.currency: was removed',
  ],
])('%s is a new version', (_, after, problem) => {
  expect(problemsOf(after)).toContain(problem)
})
