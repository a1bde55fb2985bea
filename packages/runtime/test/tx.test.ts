import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  classify,
  type Database,
  noRow,
  openDatabase,
  sqlState,
  statement,
  Tx,
} from '../src/index.ts'
import { countingTrips, type OwnDatabase, ownDatabase } from './postgres.ts'
import { rejection } from './rejection.ts'

const insertNote = statement('note_insert', noRow, 'insert into notes (id, text) values ($1, $2)')
const selectNotes = statement(
  'note_select',
  z.object({ id: z.number(), text: z.string() }),
  'select id, text from notes order by id',
)
const lockNote = statement(
  'note_lock',
  z.object({ id: z.number() }),
  'select id from notes where id = $1 for update',
)
const wrongRows = statement('note_wrong', z.object({ id: z.string() }), 'select id from notes')
const divideByZero = statement('divide_by_zero', noRow, 'select 1 / $1::int')
const backendPid = statement(
  'backend_pid',
  z.object({ pid: z.int() }),
  'select pg_backend_pid() as pid',
)

const customPlans = statement(
  'custom_plans',
  z.object({ custom: z.number(), generic: z.number() }),
  `select custom_plans as custom, generic_plans as generic from pg_prepared_statements where name = 'note_lock'`,
)

let own: OwnDatabase
let database: Database

beforeAll(async () => {
  own = await ownDatabase()
  database = openDatabase({ url: own.url, applicationName: 'tx-test', poolMax: 3 })
  // The second constraint is checked at the commit.
  await database.reads.query(
    `create table notes (id bigint primary key, text text not null,
       constraint one_text unique (text) deferrable initially deferred)`,
  )
})
beforeEach(async () => {
  await database.reads.query('truncate notes')
})
afterAll(async () => {
  await database.end()
  await own.drop()
})

async function notes(): Promise<unknown[]> {
  return (await database.reads.query('select id, text from notes order by id')).rows
}

describe('a transaction', () => {
  test('is there as a whole after it, with the statements in the order in which they were sent', async () => {
    const read = await database.transaction(async (tx) => {
      void tx.execute(insertNote, [1, 'one'])
      void tx.execute(insertNote, [2, 'two'])
      const rows = tx.run(selectNotes)
      void tx.execute(insertNote, [3, 'three'])
      return rows
    })
    expect(read).toEqual([
      { id: 1, text: 'one' },
      { id: 2, text: 'two' },
    ])
    expect(await notes()).toHaveLength(3)
  })

  test('sends statements without waiting for the answer of the one before', async () => {
    const proxy = await countingTrips(own.url)
    const counted = openDatabase({ url: proxy.url, applicationName: 'counted' })
    await counted.transaction((tx) => tx.run(selectNotes))
    const before = proxy.roundTrips()
    await counted.transaction(async (tx) => {
      for (let id = 0; id < 40; id += 1) void tx.execute(insertNote, [id, `note ${id}`])
    })
    // One after the other would be 42.
    expect(proxy.roundTrips() - before).toBe(1)
    expect(await notes()).toHaveLength(40)
    await counted.end()
    await proxy.close()
  })

  test('that throws leaves nothing, gives its own error back and the connection is used again', async () => {
    for (let time = 0; time < 5; time += 1) {
      const refusal = new Error('refused')
      const error = await rejection(
        database.transaction(async (tx) => {
          await tx.execute(insertNote, [1, 'one'])
          throw refusal
        }),
      )
      expect(error).toBe(refusal)
    }
    expect(await notes()).toEqual([])
    await database.transaction((tx) => tx.execute(insertNote, [1, 'one']))
    expect(await notes()).toHaveLength(1)
  })

  test('transactions at the same time do not see each other', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, id) =>
        database.transaction(async (tx) => {
          void tx.execute(insertNote, [id, `note ${id}`])
          expect(await tx.run(selectNotes)).toContainEqual({ id, text: `note ${id}` })
        }),
      ),
    )
    expect(await notes()).toHaveLength(20)
  })
})

describe('a statement that fails', () => {
  test('fails the transaction even when nobody awaits it, and everything before it is undone', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        void tx.execute(insertNote, [1, 'one'])
        void tx.execute(insertNote, [1, 'again'])
      }),
    )
    expect(sqlState(error)).toBe('23505')
    expect(classify(error)).toBe('permanent')
    expect(await notes()).toEqual([])
  })

  test('gives its error to every later statement: the first one is the cause', async () => {
    const errors: unknown[] = []
    const error = await rejection(
      database.transaction(async (tx) => {
        const failing = tx.execute(divideByZero, [0])
        const behind = [tx.execute(insertNote, [1, 'one']), tx.run(selectNotes)]
        for (const answer of [failing, ...behind]) errors.push(await rejection(answer))
      }),
    )
    expect(sqlState(error)).toBe('22012')
    expect(errors).toEqual([error, error, error])
  })

  test('fails the transaction even when the work swallows the error', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        await tx.execute(insertNote, [1, 'one'])
        await rejection(tx.execute(divideByZero, [0]))
        return 'as if nothing had happened'
      }),
    )
    expect(sqlState(error)).toBe('22012')
    expect(await notes()).toEqual([])
  })

  test('outranks the error that the work throws because of it', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        void tx.execute(divideByZero, [0])
        await rejection(tx.run(selectNotes))
        throw new Error('a consequence')
      }),
    )
    expect(sqlState(error)).toBe('22012')
  })

  test('at the commit is an error of the transaction', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        await tx.execute(insertNote, [1, 'same'])
        await tx.execute(insertNote, [2, 'same'])
      }),
    )
    expect(sqlState(error)).toBe('23505')
    expect(await notes()).toEqual([])
  })

  test('by returning other rows than it declares is permanent, and nothing is written', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        await tx.execute(insertNote, [1, 'one'])
        await tx.run(wrongRows)
      }),
    )
    expect(error).toMatchObject({ code: 'unexpected-row', retry: 'permanent' })
    expect(await notes()).toEqual([])
  })
})

describe('the commit', () => {
  test('writes what was collected last, in one call, in the order in which it came', async () => {
    const flushed: unknown[] = []
    const flush = async (tx: Tx, items: number[]): Promise<void> => {
      flushed.push([...items])
      await Promise.all(items.map((id) => tx.execute(insertNote, [id, `note ${id}`])))
    }
    await database.transaction(async (tx) => {
      tx.collect(flush, [3, 1])
      expect(await tx.run(selectNotes)).toEqual([])
      tx.collect(flush, [2])
    })
    expect(flushed).toEqual([[3, 1, 2]])
    expect(await notes()).toHaveLength(3)
  })

  test('fails when what was collected cannot be written', async () => {
    const flush = (tx: Tx, ids: number[]): Promise<unknown> =>
      tx.execute(insertNote, [ids[0], null])
    const error = await rejection(
      database.transaction(async (tx) => {
        await tx.execute(insertNote, [1, 'one'])
        tx.collect(flush, [2])
      }),
    )
    expect(sqlState(error)).toBe('23502')
    expect(await notes()).toEqual([])
  })

  test('does not come when what was collected fails before it is sent', async () => {
    const refusal = new Error('cannot be written')
    for (const turns of [0, 1, 3]) {
      const flush = async (): Promise<void> => {
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
        throw refusal
      }
      const error = await rejection(
        database.transaction(async (tx) => {
          void tx.execute(insertNote, [1, 'one'])
          tx.collect(flush, [2])
        }),
      )
      expect(error).toBe(refusal)
      expect(await notes()).toEqual([])
    }
  })

  test('never comes when the work throws: what was collected is dropped', async () => {
    let flushes = 0
    const flush = async (): Promise<void> => {
      flushes += 1
    }
    await rejection(
      database.transaction(async (tx) => {
        tx.collect(flush, [1])
        throw new Error('refused')
      }),
    )
    expect(flushes).toBe(0)
  })
})

describe('what concerns everything', () => {
  test('a connection that is lost fails its transaction only, and the next one has another', async () => {
    const error = await rejection(
      database.transaction(async (tx) => {
        await tx.execute(insertNote, [1, 'one'])
        const [row] = await tx.run(backendPid)
        await database.reads.query('select pg_terminate_backend($1)', [row?.pid])
        await tx.execute(insertNote, [2, 'two'])
      }),
    )
    expect(classify(error)).toBe('transient-everything')
    await database.transaction((tx) => tx.execute(insertNote, [3, 'three']))
    expect(await notes()).toEqual([{ id: 3, text: 'three' }])
  })

  test('a lock that is not free in time ends the wait, and the connection is used again', async () => {
    await database.transaction((tx) => tx.execute(insertNote, [1, 'one']))
    const impatient = openDatabase({
      url: own.url,
      applicationName: 'impatient',
      poolMax: 1,
      lockTimeoutMs: 50,
    })
    const error = await database.transaction(async (tx) => {
      await tx.run(lockNote, [1])
      return rejection(impatient.transaction((other) => other.run(lockNote, [1])))
    })
    expect(sqlState(error)).toBe('55P03')
    expect(classify(error)).toBe('transient-everything')
    expect(await impatient.transaction((tx) => tx.run(lockNote, [1]))).toEqual([{ id: 1 }])
    await impatient.end()
  })

  test('a transaction whose process stands still is ended by the server, and its locks with it', async () => {
    await database.transaction((tx) => tx.execute(insertNote, [1, 'one']))
    // Long enough for its lock on a busy machine too; and who waits for that waits longer than the server may take to end it.
    const slow = openDatabase({ url: own.url, applicationName: 'slow', transactionTimeoutMs: 1000 })
    const patient = openDatabase({
      url: own.url,
      applicationName: 'patient',
      lockTimeoutMs: 30_000,
      statementTimeoutMs: 30_000,
      transactionTimeoutMs: 30_000,
    })
    const [locked, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const stuck = rejection(
      slow.transaction(async (tx) => {
        await tx.run(lockNote, [1])
        locked.resolve()
        await goOn.promise
        await tx.run(lockNote, [1])
      }),
    )
    await locked.promise
    // Waits for the stuck one's lock: it is free when the server has ended that transaction.
    expect(await patient.transaction((tx) => tx.run(lockNote, [1]))).toEqual([{ id: 1 }])
    goOn.resolve()
    expect(classify(await stuck)).toBe('transient-everything')
    await Promise.all([slow.end(), patient.end()])
  })

  test('a Postgres that is not there concerns everything', async () => {
    const nowhere = openDatabase({ url: 'postgres://x@127.0.0.1:1/x', applicationName: 'nowhere' })
    const refused = await rejection(nowhere.transaction((tx) => tx.run(selectNotes)))
    expect(classify(refused)).toBe('transient-everything')
    expect(classify(await rejection(nowhere.ping()))).toBe('transient-everything')
    await nowhere.end()
  })
})

test('a declared statement is planned once, and not for each of its values', async () => {
  const plans = await database.transaction(async (tx) => {
    for (const id of [1, 2, 3]) void tx.run(lockNote, [id])
    return tx.run(customPlans)
  })
  expect(plans).toEqual([{ custom: 0, generic: expect.any(Number) }])
})

test('int8 is a number, and one beyond 2^53 - 1 is refused rather than rounded', async () => {
  const { rows } = await database.reads.query('select 9007199254740991::int8 as most')
  expect(rows).toEqual([{ most: Number.MAX_SAFE_INTEGER }])
  const beyond = database.reads.query('select 9007199254740992::int8 as beyond')
  await expect(beyond).rejects.toThrow('int8 9007199254740992 is beyond 2^53 - 1')
})
