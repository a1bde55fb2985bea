import { z } from 'zod'
import type { FuzzData, Json } from './fuzz-data.ts'

/** As much of a JSON schema as is needed to make a value that fits it, mostly. */
const jsonSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  enum: z.array(z.json()).optional(),
  const: z.json().optional(),
  get properties() {
    return z.record(z.string(), jsonSchema).optional()
  },
  required: z.array(z.string()).optional(),
  get items() {
    return jsonSchema.optional()
  },
  get anyOf() {
    return z.array(jsonSchema).optional()
  },
  get oneOf() {
    return z.array(jsonSchema).optional()
  },
  minItems: z.number().optional(),
  minLength: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  pattern: z.string().optional(),
  format: z.string().optional(),
})
type JsonSchema = z.infer<typeof jsonSchema>

const parameter = z.object({
  name: z.string(),
  in: z.enum(['path', 'query', 'header', 'cookie']),
  required: z.boolean().optional(),
  schema: jsonSchema.optional(),
})
const operationSchema = z.object({
  parameters: z.array(parameter).optional(),
  requestBody: z
    .object({ content: z.record(z.string(), z.object({ schema: jsonSchema.optional() })) })
    .optional(),
  responses: z.record(z.string(), z.unknown()).optional(),
})
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
})

/** One route of a service, as its OpenAPI document describes it. */
export interface Operation {
  readonly method: string
  /** `/orders/{id}/cancel`. */
  readonly path: string
  readonly parameters: readonly z.infer<typeof parameter>[]
  readonly body: JsonSchema | undefined
  /** Server errors that the document names: a provider that is said to be away at times. */
  readonly documentedFailures: ReadonlySet<number>
}

/** Every route of the service that answers at `url`. @throws Error when it has no OpenAPI document, or one without routes */
export async function readOperations(url: string): Promise<Operation[]> {
  const response = await fetch(`${url}/docs/json`, { signal: AbortSignal.timeout(10_000) })
  const { paths } = documentSchema.parse(await response.json())
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { parameters = [], requestBody, responses = {} }]) => ({
      method: method.toUpperCase(),
      path,
      parameters,
      body: requestBody?.content['application/json']?.schema,
      documentedFailures: new Set(
        Object.keys(responses)
          .map(Number)
          .filter((status) => status >= 500),
      ),
    })),
  )
}

/** Values that mean something to the running system, by the name of the field: requests with them get further. */
export type KnownValues = Readonly<Record<string, readonly [string, ...string[]]>>

/** A value that fits a schema, mostly. Fields of a known name get one of the known values. */
export function sample(
  schema: JsonSchema,
  context: { data: FuzzData; known: KnownValues; name?: string },
): Json {
  const { data, known, name = '' } = context
  const { anyOf, oneOf, type } = schema
  if (schema.const !== undefined) return schema.const
  const [first, ...others] = schema.enum ?? []
  if (first !== undefined) return data.pick([first, ...others])
  const [choice, ...choices] = anyOf ?? oneOf ?? []
  if (choice !== undefined) return sample(data.pick([choice, ...choices]), context)
  switch (Array.isArray(type) ? type[0] : type) {
    case 'object':
      return sampleObject(schema, context)
    case 'array': {
      const length = Math.max(schema.minItems ?? 0, data.pick([1, 1, 1, 2]))
      const items = schema.items ?? {}
      return Array.from({ length }, () => sample(items, context))
    }
    case 'integer':
    case 'number':
      return sampleNumber(schema, data)
    case 'boolean':
      return data.chance(0.5)
    case 'string': {
      const values = known[name]
      return values && data.chance(0.7) ? data.pick(values) : sampleString(schema, data)
    }
    default:
      return data.json(1)
  }
}

/** The same as text, for a path, a query or a header. */
export function sampleText(schema: JsonSchema, context: Parameters<typeof sample>[1]): string {
  const value = sample(schema, context)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function sampleObject(
  { properties = {}, required = [] }: JsonSchema,
  context: { data: FuzzData; known: KnownValues },
): Json {
  const { data } = context
  const chosen = Object.entries(properties).filter(
    ([name]) => required.includes(name) || data.chance(0.5),
  )
  return Object.fromEntries(
    chosen.map(([name, schema]) => [name, sample(schema, { ...context, name })]),
  )
}

function sampleNumber({ minimum, exclusiveMinimum, maximum }: JsonSchema, data: FuzzData): number {
  const least = minimum ?? (exclusiveMinimum ?? 0) + 1
  const most = maximum ?? least + 100
  // The bounds themselves are where things break.
  return data.pick([least, most, Math.min(most, least + data.int(100))])
}

const candidates = [
  'EUR',
  'fuzz',
  '"1"',
  '7',
  '2026-01-31T12:00:00.000Z',
  'order.placed.v1',
] as const

function sampleString({ pattern, format, minLength = 0 }: JsonSchema, data: FuzzData): string {
  if (format === 'uuid') return data.uuidV7()
  const fitting = [...candidates, data.uuidV7(), 'fuzz'.padEnd(minLength, 'z')].filter(
    (candidate) => pattern === undefined || new RegExp(pattern, 'u').test(candidate),
  )
  const [first = 'fuzz', ...others] = fitting
  return data.pick([first, ...others])
}
