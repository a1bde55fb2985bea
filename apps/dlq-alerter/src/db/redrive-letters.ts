import { noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { RedriveEnd } from '../domain/letter.ts'

// The oldest letters first.
const pending = statement(
  'redrive_letters_pending',
  z.object({ letter_id: z.string() }),
  `select letter_id from redrive_letters
   where redrive_id = $1 and state = 'pending'
   order by letter_id
   limit $2`,
)

const begin = statement(
  'redrive_letters_begin',
  noRow,
  `update redrive_letters r set state = b.state, sent_at = case when b.state = 'sent' then now() end,
     ended_at = case when b.state = 'skipped' then now() end
   from unnest($1::uuid[], $2::uuid[], $3::text[]) as b (redrive_id, letter_id, state)
   where r.redrive_id = b.redrive_id and r.letter_id = b.letter_id`,
)

// Only one that was sent: of a letter that is in two redrives, the second one skipped it.
const end = statement(
  'redrive_letters_end',
  noRow,
  `update redrive_letters r set state = e.state, ended_at = now()
   from unnest($1::uuid[], $2::uuid[], $3::text[]) as e (redrive_id, letter_id, state)
   where r.redrive_id = e.redrive_id and r.letter_id = e.letter_id and r.state = 'sent'`,
)

const toSend = statement(
  'letters_to_send',
  z.object({
    letter_id: z.string(),
    corrected_body: z.string().nullable(),
    headers: z.record(z.string(), z.string()).nullable(),
    body: z.string().nullable(),
    encoding: z.enum(['utf8', 'base64']),
  }),
  `select l.letter_id, l.corrected_body, case when l.source = 'dlq' then l.headers end as headers,
     case when l.source = 'dlq' then l.body end as body, l.encoding
   from unnest($1::uuid[]) as k (letter_id)
   join letters l on l.letter_id = k.letter_id`,
)

/** What goes with a letter: a corrected body, and the message itself where its consumer has it no more. */
export interface Enclosed {
  readonly correctedBody: string | null
  readonly message: {
    readonly headers: Record<string, string>
    readonly body: string
    readonly encoding: 'utf8' | 'base64'
  } | null
}

/** The next letters of a locked redrive. */
export async function pendingLetters(tx: Tx, redriveId: string, limit: number): Promise<string[]> {
  const rows = await tx.run(pending, [redriveId, limit])
  return rows.map((row) => row.letter_id)
}

/** What goes with letters, which are locked, by their ids. */
export async function readEnclosed(
  tx: Tx,
  letterIds: readonly string[],
): Promise<Map<string, Enclosed>> {
  if (letterIds.length === 0) return new Map()
  const rows = await tx.run(toSend, [letterIds])
  return new Map(
    rows.map(({ letter_id: letterId, corrected_body: correctedBody, headers, body, encoding }) => [
      letterId,
      {
        correctedBody,
        message: headers && body !== null ? { headers, body, encoding } : null,
      },
    ]),
  )
}

/** Writes which letters of a redrive were sent and which were not open any more; the commit awaits the answer. */
export function beginRedriveLetters(
  tx: Tx,
  redriveId: string,
  letters: readonly { readonly letterId: string; readonly state: 'sent' | 'skipped' }[],
): void {
  if (letters.length === 0) return
  void tx.execute(begin, [
    letters.map(() => redriveId),
    letters.map(({ letterId }) => letterId),
    letters.map(({ state }) => state),
  ])
}

/** Writes what became of letters that were sent back; the commit awaits the answer. */
export function endRedriveLetters(
  tx: Tx,
  ends: readonly (RedriveEnd & { readonly letterId: string })[],
): void {
  if (ends.length === 0) return
  void tx.execute(end, [
    ends.map(({ redriveId }) => redriveId),
    ends.map(({ letterId }) => letterId),
    ends.map(({ result }) => result),
  ])
}
