import { contracts, parseType, readBody } from '@edp/event-schemas'
import { z } from 'zod'
import { type Difference, differences } from './body-diff.ts'
import type { Content } from './fact.ts'

/** What came of checking a corrected body. */
export type Correction =
  | { readonly ok: true; readonly diff: readonly Difference[] }
  | {
      readonly ok: false
      readonly kind: 'no-schema' | 'not-valid' | 'other-key'
      readonly problems: readonly string[]
    }

/** The fields of a body that say what the message is about, and so order it. */
const keyFields = ['orderId', 'sagaId'] as const
const keyed = z.object({ orderId: z.unknown(), sagaId: z.unknown() }).partial()

/**
 * Checks a corrected body of a letter: it fits the schema of its type, and is about the same order. A body that was never readable is
 * held to the key of the message.
 */
export function checkCorrection(
  letter: { readonly type: string | null; readonly key: string | null },
  original: Content,
  corrected: string,
): Correction {
  const contract = contracts.find(({ name }) => name === parseType(letter.type ?? '')?.name)
  if (!contract || letter.type === null) {
    return refused('no-schema', [`there is no schema for the type ${letter.type}`])
  }
  const after = parse(corrected)
  if (after === undefined) return refused('not-valid', ['body: is not JSON'])
  const reading = readBody(contract, letter.type, after)
  if (!reading.ok) return refused('not-valid', reading.problems)
  const before = original.encoding === 'utf8' ? parse(original.body) : undefined
  const problems = keyProblems(keyOf(before), keyOf(after), letter.key)
  if (problems.length > 0) return refused('other-key', problems)
  return { ok: true, diff: differences(before ?? original.body, after) }
}

function keyProblems(
  before: z.infer<typeof keyed>,
  after: z.infer<typeof keyed>,
  key: string | null,
): string[] {
  return keyFields.flatMap((field) => {
    const is = after[field]
    const was = before[field] ?? (is === undefined ? undefined : (key ?? undefined))
    if (was === undefined || was === is) return []
    return [`body.${field}: must stay ${JSON.stringify(was)}, which orders the message`]
  })
}

function keyOf(body: unknown): z.infer<typeof keyed> {
  const read = keyed.safeParse(body)
  return read.success ? read.data : {}
}

function refused(
  kind: 'no-schema' | 'not-valid' | 'other-key',
  problems: readonly string[],
): Correction {
  return { ok: false, kind, problems }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
