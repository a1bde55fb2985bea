import { type Database, noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import { record } from './db/audit.ts'
import { lockLetters } from './db/letters.ts'
import { checkCorrection, type Correction } from './domain/correction.ts'
import type { Content } from './domain/fact.ts'
import type { Letter } from './domain/letter.ts'
import { entryOf } from './operate-letter.ts'

const read = statement(
  'letters_content',
  z.object({
    headers: z.record(z.string(), z.string()),
    body: z.string(),
    encoding: z.enum(['utf8', 'base64']),
    bytes: z.int(),
    corrected_body: z.string().nullable(),
  }),
  'select headers, body, encoding, bytes, corrected_body from letters where letter_id = $1',
)

const write = statement(
  'letters_correct',
  noRow,
  'update letters set corrected_body = $2, updated_at = now() where letter_id = $1',
)

/** What came of correcting a body. */
export type Corrected =
  | Correction
  | { readonly ok: false; readonly kind: 'unknown' | 'truncated' | 'at-the-relay' }
  | { readonly ok: false; readonly kind: 'not-now'; readonly status: Letter['state']['status'] }

/** A body that is to go back instead of the one that came; null takes it away. */
export interface BodyCorrection {
  readonly letterId: string
  readonly body: string | null
  readonly by: string
  readonly why?: string
}

/**
 * Keeps a corrected body, with which the letter is sent back from then on, and records how it differs. It must fit the schema of
 * the message's type and be about the same order. Only of open letters whose body is here whole.
 */
export async function correctBody(
  database: Pick<Database, 'transaction'>,
  correction: BodyCorrection,
): Promise<Corrected> {
  const { letterId, body } = correction
  return await database.transaction(async (tx) => {
    const [letter] = await lockLetters(tx, [letterId])
    const [row] = await tx.run(read, [letterId])
    if (!letter || !row) return { ok: false, kind: 'unknown' }
    if (letter.state.status !== 'open') {
      return { ok: false, kind: 'not-now', status: letter.state.status }
    }
    const { corrected_body: known, ...content } = row
    const checked = body === null ? ({ ok: true, diff: [] } as const) : check(letter, content, body)
    if (!checked.ok) return checked
    save(tx, letter, { ...correction, known, diff: checked.diff })
    return checked
  })
}

function check(letter: Letter, content: Content, body: string): Corrected {
  if (letter.subject.source === 'outbox') return { ok: false, kind: 'at-the-relay' }
  const bytesHere = Buffer.byteLength(content.body, content.encoding)
  if (content.bytes > bytesHere) return { ok: false, kind: 'truncated' }
  return checkCorrection(letter.subject, content, body)
}

function save(
  tx: Tx,
  letter: Letter,
  {
    letterId,
    body,
    by,
    why,
    known,
    diff,
  }: BodyCorrection & {
    known: string | null
    diff: readonly unknown[]
  },
): void {
  void tx.execute(write, [letterId, body])
  const action = body === null ? 'letter.correction-removed' : 'letter.corrected'
  const change = { before: { correctedBody: known }, after: { correctedBody: body, diff } }
  record(tx, [entryOf(letter, { by, action, ...change, ...(why !== undefined && { why }) })])
}
