import { z } from 'zod'
import { command, type Context } from './command.ts'
import { CommandFailed, WrongUse } from './failures.ts'
import { readText } from './edit-letter.ts'
import { withNext } from './letters.ts'
import { choice, onRecord, paging, requiredText, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatSection, formatTable } from './table.ts'

const deadRowView = z.looseObject({
  database: z.string(),
  transport: z.string(),
  id: z.int(),
  status: z.string(),
  messageId: z.string(),
  destination: z.string(),
  key: z.string(),
  type: z.string(),
  errorCode: z.string().nullable(),
  errorMessage: z.string().nullable(),
  payloadBytes: z.int(),
  movedAt: z.string(),
})
type DeadRowView = z.infer<typeof deadRowView>
const deadRowsPage = z.looseObject({
  deadRows: z.array(deadRowView),
  nextCursor: z.string().nullable(),
})
const deadRowDetail = deadRowView.extend({
  payload: z.unknown(),
  headers: z.record(z.string(), z.string()),
  waitingBehind: z.int(),
  waitsFor: z.int().nullable(),
})
const settled = z.looseObject({ followers: z.int() })

const theRow = { row: requiredText('ROW', 'DATABASE/TRANSPORT/ID, as `outbox dead` shows it') }

const dead = command({
  name: 'outbox dead',
  summary: 'outbox rows that can never be published, and those of their key that wait behind them',
  options: {
    database: text('NAME', 'of this database: orders, inventory, payments'),
    status: choice(['dead', 'waiting'], 'only those'),
    ...paging,
  },
  run: async ({ client, terminal }, _, query) => {
    const { body, document } = await client('outbox-relay').request(
      deadRowsPage,
      'GET',
      '/dead-rows',
      { query },
    )
    const table = formatTable(
      body.deadRows,
      [
        ['ROW', nameOf],
        ['STATUS', (row) => row.status],
        ['AGE', (row) => age(row.movedAt)],
        ['TYPE', (row) => row.type],
        ['KEY', (row) => row.key],
        ['DESTINATION', (row) => row.destination],
        ['ERROR', (row) => errorOf(row)],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.deadRows.length === 0 ? 'no dead rows' : withNext(table, body.nextCursor),
    }
  },
})

const show = command({
  name: 'outbox show',
  summary: 'one dead row with its payload',
  args: theRow,
  run: async ({ client }, { row }) => {
    const { body, document } = await client('outbox-relay').request(
      deadRowDetail,
      'GET',
      pathOfRow(row, 'outbox show'),
    )
    return {
      document,
      text:
        formatFields([
          ['row', nameOf(body)],
          ['status', body.status],
          ['message', body.messageId],
          ['type', body.type],
          ['key', body.key],
          ['destination', body.destination],
          ['error', errorOf(body)],
          ['since', body.movedAt],
          ['waiting behind', body.waitingBehind],
          ['waits for', body.waitsFor],
        ]) +
        formatSection('headers', formatFields(Object.entries(body.headers))) +
        formatSection('payload', JSON.stringify(body.payload, null, 2)),
    }
  },
})

const putBack = command({
  name: 'outbox put-back',
  summary: 'puts a dead row back into the outbox, repaired, and what waits behind it',
  details: 'Without --payload or --file it goes back as it was: where the cause was outside of it.',
  args: theRow,
  options: {
    payload: text('JSON', 'the repaired payload'),
    file: text('FILE', 'the repaired payload is in this file; - is standard input'),
    ...onRecord,
  },
  run: async (context, { row }, { payload, file, by = context.terminal.user, why }) => {
    const path = `${pathOfRow(row, 'outbox put-back')}/put-back`
    const repaired = await payloadOf(context, payload, file)
    const answer = await context.client('outbox-relay').request(settled, 'POST', path, {
      body: { ...(repaired !== undefined && { payload: repaired }), by, why },
    })
    const { followers } = answer.body
    return {
      document: answer.document,
      text: `${row} is back in the outbox, and ${followers} rows that waited behind it`,
    }
  },
})

const discard = command({
  name: 'outbox discard',
  summary: 'gives a dead row up: it is never published, what waits behind it goes on',
  args: theRow,
  options: onRecord,
  run: async ({ client, terminal }, { row }, { by = terminal.user, why }) => {
    const path = `${pathOfRow(row, 'outbox discard')}/discard`
    const { body, document } = await client('outbox-relay').request(settled, 'POST', path, {
      body: { by, why },
    })
    return { document, text: `${row} is given up, and ${body.followers} rows behind it go on` }
  },
})

/** Commands of outbox rows that cannot be published. */
export const outboxCommands = [dead, show, putBack, discard]

function nameOf({ database, transport, id }: DeadRowView): string {
  return `${database}/${transport}/${id}`
}

function errorOf({ errorCode, errorMessage }: DeadRowView): string | null {
  return errorCode === null ? null : `${errorCode}: ${errorMessage ?? ''}`
}

function pathOfRow(row: string, name: string): string {
  const [database = '', transport = '', id = '', ...more] = row.split('/')
  if (database === '' || transport === '' || id === '' || more.length > 0) {
    throw new WrongUse(`expected DATABASE/TRANSPORT/ID such as orders/kafka/17, found ${row}`, name)
  }
  return pathOf`/dead-rows/${database}/${transport}/${id}`
}

async function payloadOf(
  { terminal }: Context,
  payload: string | undefined,
  file: string | undefined,
): Promise<unknown> {
  if (payload !== undefined && file !== undefined) {
    throw new WrongUse('expected --payload or --file, not both', 'outbox put-back')
  }
  const json = file === undefined ? payload : await readText(file, terminal)
  if (json === undefined) return undefined
  try {
    return JSON.parse(json)
  } catch (error) {
    throw new CommandFailed(`the payload is not JSON: ${String(error)}`)
  }
}
