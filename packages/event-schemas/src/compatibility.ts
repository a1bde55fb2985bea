import { isDeepStrictEqual } from 'node:util'

/** A JSON Schema, as an object with any keywords. */
export type JsonSchema = Readonly<Record<string, unknown>>

// What says nothing about which messages are valid.
const annotations = new Set(['$schema', '$id', '$comment', 'title', 'description', 'examples'])
// What is compared by its parts.
const structure = new Set(['properties', 'required', 'items'])

/**
 * What in the second schema of one message version would break somebody, one line each: none when it may be published under
 * the same version. Services are deployed one by one, so both directions count: a new consumer reads old messages, and an old
 * consumer reads new ones. That leaves one change: a new field that may be absent. A wider type or a new value of an enum
 * would be poison to an old consumer, a narrower one to a new consumer; both are a new version.
 */
export function incompatibilities(before: JsonSchema, after: JsonSchema, path = 'body'): string[] {
  return [
    ...changedKeywords(before, after, path),
    ...changedFields(before, after, path),
    ...changedItems(before, after, path),
  ]
}

function changedKeywords(before: JsonSchema, after: JsonSchema, path: string): string[] {
  const keywords = new Set([...Object.keys(before), ...Object.keys(after)])
  return [...keywords]
    .filter((keyword) => !annotations.has(keyword) && !structure.has(keyword))
    .filter((keyword) => !isDeepStrictEqual(before[keyword], after[keyword]))
    .map(
      (keyword) => `${path}: ${keyword} was ${show(before[keyword])}, is ${show(after[keyword])}`,
    )
}

function changedFields(before: JsonSchema, after: JsonSchema, path: string): string[] {
  const [old, current] = [fieldsOf(before), fieldsOf(after)]
  const [oldRequired, required] = [requiredOf(before), requiredOf(after)]
  const problems: string[] = []
  for (const [name, schema] of Object.entries(old)) {
    const field = `${path}.${name}`
    const now = current[name]
    if (now === undefined) {
      problems.push(`${field}: was removed`)
      continue
    }
    if (oldRequired.has(name) !== required.has(name)) {
      problems.push(`${field}: became ${required.has(name) ? 'required' : 'optional'}`)
    }
    problems.push(...incompatibilities(schema, now, field))
  }
  for (const name of Object.keys(current)) {
    if (old[name] === undefined && required.has(name)) {
      problems.push(`${path}.${name}: is new and required`)
    }
  }
  return problems
}

function changedItems(before: JsonSchema, after: JsonSchema, path: string): string[] {
  const [old, current] = [before['items'], after['items']]
  if (isSchema(old) && isSchema(current)) return incompatibilities(old, current, `${path}[]`)
  return isDeepStrictEqual(old, current) ? [] : [`${path}: its items changed`]
}

function fieldsOf(schema: JsonSchema): Record<string, JsonSchema> {
  const { properties } = schema
  if (!isSchema(properties)) return {}
  const fields: Record<string, JsonSchema> = {}
  for (const [name, field] of Object.entries(properties)) if (isSchema(field)) fields[name] = field
  return fields
}

function requiredOf({ required }: JsonSchema): Set<unknown> {
  return new Set(Array.isArray(required) ? required : [])
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function show(value: unknown): string {
  return value === undefined ? 'not there' : JSON.stringify(value)
}
