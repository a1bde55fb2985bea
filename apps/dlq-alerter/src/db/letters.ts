import { coordination, deadLetterReason } from '@edp/event-schemas'
import { AppError, noRow, statement, type Tx } from '@edp/runtime'
import { z } from 'zod'
import type { Content } from '../domain/fact.ts'
import type { Letter, LetterState } from '../domain/letter.ts'

const facts = {
  letter_id: z.string(),
  consumer: z.string(),
  message_id: z.string(),
  source: z.enum(['kafka', 'rabbitmq', 'outbox', 'due-work', 'dlq']),
  position: z.string(),
  type: z.string().nullable(),
  key: z.string().nullable(),
  correlation_id: z.string().nullable(),
  causation_id: z.string().nullable(),
  traceparent: z.string().nullable(),
  coordination,
  group_id: z.string(),
  fingerprint: z.string(),
  reason: deadLetterReason,
  error_code: z.string(),
  error_message: z.string(),
  error_stack: z.string().nullable(),
  attempts: z.int(),
  first_failed_at: z.date(),
  last_failed_at: z.date(),
  waiting_behind: z.int(),
  fact_at: z.date(),
}
const outcome = z.enum(['applied', 'already-applied', 'discarded'])

/** A row of `letters`: how the service writes it, it is one of these four. */
const letterRow = z.discriminatedUnion('status', [
  z.object({ ...facts, status: z.literal('open'), outcome: z.null(), redrive_id: z.null() }),
  z.object({ ...facts, status: z.literal('redriving'), outcome: z.null(), redrive_id: z.string() }),
  z.object({ ...facts, status: z.literal('resolved'), outcome, redrive_id: z.null() }),
  z.object({
    ...facts,
    status: z.literal('archived'),
    outcome: outcome.nullable(),
    redrive_id: z.null(),
  }),
])
type LetterRow = z.infer<typeof letterRow>

const columns = `l.letter_id, l.consumer, l.message_id, l.source, l.position, l.type, l.key, l.correlation_id, l.causation_id,
  l.traceparent, l.coordination, l.group_id, l.fingerprint, l.reason, l.error_code, l.error_message, l.error_stack, l.attempts,
  l.first_failed_at, l.last_failed_at, l.waiting_behind, l.fact_at, l.status, l.outcome, l.redrive_id`

// All locks are taken in the order of the identities, whatever the letters are found by.
const lockByIdentity = statement(
  'letters_lock_by_identity',
  letterRow,
  `select ${columns}
   from unnest($1::text[], $2::uuid[]) as k (consumer, message_id)
   join letters l on l.consumer = k.consumer and l.message_id = k.message_id
   order by l.consumer, l.message_id
   for update of l`,
)

const lockById = statement(
  'letters_lock',
  letterRow,
  `select ${columns}
   from unnest($1::uuid[]) as k (letter_id)
   join letters l on l.letter_id = k.letter_id
   order by l.consumer, l.message_id
   for update of l`,
)

const insert = statement(
  'letters_insert',
  z.object({ letter_id: z.string() }),
  `insert into letters (letter_id, consumer, message_id, source, position, type, key, correlation_id, causation_id,
     traceparent, coordination, group_id, fingerprint, reason, error_code, error_message, error_stack, attempts,
     first_failed_at, last_failed_at, waiting_behind, fact_at, status, outcome, headers, body, encoding, bytes)
   select letter_id, consumer, message_id, source, position, type, key, correlation_id, causation_id,
     traceparent, coordination, group_id, fingerprint, reason, error_code, error_message, error_stack, attempts,
     first_failed_at, last_failed_at, waiting_behind, fact_at, status, outcome, headers::json, body, encoding, bytes
   from unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
     $10::text[], $11::text[], $12::uuid[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::integer[],
     $19::timestamptz[], $20::timestamptz[], $21::integer[], $22::timestamptz[], $23::text[], $24::text[],
     $25::text[], $26::text[], $27::text[], $28::integer[])
     as n (letter_id, consumer, message_id, source, position, type, key, correlation_id, causation_id,
     traceparent, coordination, group_id, fingerprint, reason, error_code, error_message, error_stack, attempts,
     first_failed_at, last_failed_at, waiting_behind, fact_at, status, outcome, headers, body, encoding, bytes)
   order by consumer, message_id
   on conflict do nothing
   returning letter_id`,
)

const insertTexts = statement(
  'letter_texts_insert',
  noRow,
  `insert into letter_texts (letter_id, text) select letter_id, text from unnest($1::uuid[], $2::text[]) as n (letter_id, text)`,
)

const update = statement(
  'letters_update',
  noRow,
  `update letters l set group_id = c.group_id, fingerprint = c.fingerprint, reason = c.reason, error_code = c.error_code,
     error_message = c.error_message, error_stack = c.error_stack, attempts = c.attempts,
     first_failed_at = c.first_failed_at, last_failed_at = c.last_failed_at, waiting_behind = c.waiting_behind,
     fact_at = c.fact_at, status = c.status, outcome = c.outcome, redrive_id = c.redrive_id, updated_at = now()
   from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[],
     $9::timestamptz[], $10::timestamptz[], $11::integer[], $12::timestamptz[], $13::text[], $14::text[], $15::uuid[])
     as c (letter_id, group_id, fingerprint, reason, error_code, error_message, error_stack, attempts, first_failed_at,
     last_failed_at, waiting_behind, fact_at, status, outcome, redrive_id)
   where l.letter_id = c.letter_id`,
)

/** Which letter: the same over all its redrives. */
export interface Identity {
  readonly consumer: string
  readonly messageId: string
}

/** A letter that is new, with its content. */
export interface NewLetter {
  readonly letter: Letter
  readonly content: Content
}

/** Locks letters by what they are; one that does not exist is left out. */
export async function lockLettersOf(tx: Tx, identities: readonly Identity[]): Promise<Letter[]> {
  const rows = await tx.run(lockByIdentity, [
    identities.map(({ consumer }) => consumer),
    identities.map(({ messageId }) => messageId),
  ])
  return rows.map(letterOf)
}

/** Locks letters by their ids, each once; one that does not exist is left out. */
export async function lockLetters(tx: Tx, letterIds: readonly string[]): Promise<Letter[]> {
  return (await tx.run(lockById, [letterIds])).map(letterOf)
}

/**
 * Writes new letters, and what they are found by, a statement each.
 * @throws AppError `transient-everything` when another transaction has made one of them meanwhile: all of it is to be done again
 */
export async function insertLetters(tx: Tx, news: readonly NewLetter[]): Promise<void> {
  if (news.length === 0) return
  const { values, outcomes } = columnsOf(news.map(({ letter }) => letter))
  const subjects = news.map(({ letter }) => letter.subject)
  const contents = news.map(({ content }) => content)
  const inserting = tx.run(insert, [
    values.letterId,
    news.map(({ letter }) => letter.consumer),
    news.map(({ letter }) => letter.messageId),
    subjects.map(({ source }) => source),
    subjects.map(({ position }) => position),
    subjects.map(({ type }) => type),
    subjects.map(({ key }) => key),
    subjects.map(({ correlationId }) => correlationId),
    subjects.map(({ causationId }) => causationId),
    subjects.map(({ traceparent }) => traceparent),
    subjects.map((subject) => subject.coordination),
    ...values.failure,
    values.waitingBehind,
    values.factAt,
    values.status,
    outcomes,
    contents.map(({ headers }) => JSON.stringify(headers)),
    contents.map(({ body }) => body),
    contents.map(({ encoding }) => encoding),
    contents.map(({ bytes }) => bytes),
  ])
  void tx.execute(insertTexts, [values.letterId, news.map(searchText)])
  if ((await inserting).length < news.length) {
    throw new AppError('letter-exists', 'another process has made one of these letters meanwhile', {
      retry: 'transient-everything',
    })
  }
}

/** The beginnings are enough, and bound what the index of trigrams costs: 0.3 ms for a body of 300 bytes, 1 ms for a longer one. */
function searchText({ letter: { subject, failure }, content }: NewLetter): string {
  return [
    (subject.type ?? '').slice(0, 200),
    (subject.key ?? '').slice(0, 200),
    failure.errorMessage.slice(0, 300),
    content.encoding === 'utf8' ? content.body.slice(0, 1000) : '',
  ]
    .join(' ')
    .toLowerCase()
}

/** Writes letters that are locked, in one statement, whose answer the commit awaits. */
export function updateLetters(tx: Tx, letters: readonly Letter[]): void {
  if (letters.length === 0) return
  const { values, outcomes, redriveIds } = columnsOf(letters)
  void tx.execute(update, [
    values.letterId,
    ...values.failure,
    values.waitingBehind,
    values.factAt,
    values.status,
    outcomes,
    redriveIds,
  ])
}

function columnsOf(letters: readonly Letter[]) {
  const failures = letters.map(({ failure }) => failure)
  return {
    outcomes: letters.map(({ state }) => ('outcome' in state ? state.outcome : null)),
    redriveIds: letters.map(({ state }) => ('redriveId' in state ? state.redriveId : null)),
    values: {
      letterId: letters.map(({ letterId }) => letterId),
      failure: [
        failures.map(({ groupId }) => groupId),
        failures.map(({ fingerprint }) => fingerprint),
        failures.map(({ reason }) => reason),
        failures.map(({ errorCode }) => errorCode),
        failures.map(({ errorMessage }) => errorMessage),
        failures.map(({ errorStack }) => errorStack),
        failures.map(({ attempts }) => attempts),
        failures.map(({ firstFailedAt }) => firstFailedAt),
        failures.map(({ lastFailedAt }) => lastFailedAt),
      ],
      waitingBehind: letters.map(({ waitingBehind }) => waitingBehind),
      factAt: letters.map(({ factAt }) => factAt),
      status: letters.map(({ state }) => state.status),
    },
  }
}

function letterOf(row: LetterRow): Letter {
  return {
    letterId: row.letter_id,
    consumer: row.consumer,
    messageId: row.message_id,
    subject: {
      source: row.source,
      position: row.position,
      type: row.type,
      key: row.key,
      correlationId: row.correlation_id,
      causationId: row.causation_id,
      traceparent: row.traceparent,
      coordination: row.coordination,
    },
    failure: {
      groupId: row.group_id,
      fingerprint: row.fingerprint,
      reason: row.reason,
      errorCode: row.error_code,
      errorMessage: row.error_message,
      errorStack: row.error_stack,
      attempts: row.attempts,
      firstFailedAt: row.first_failed_at,
      lastFailedAt: row.last_failed_at,
    },
    state: stateOf(row),
    waitingBehind: row.waiting_behind,
    factAt: row.fact_at,
  }
}

function stateOf(row: LetterRow): LetterState {
  switch (row.status) {
    case 'open':
      return { status: row.status }
    case 'redriving':
      return { status: row.status, redriveId: row.redrive_id }
    case 'resolved':
      return { status: row.status, outcome: row.outcome }
    case 'archived':
      return { status: row.status, outcome: row.outcome }
  }
}
