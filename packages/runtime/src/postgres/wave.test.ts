import type pg from 'pg'
import { expect, test, vi } from 'vitest'
import { z } from 'zod'
import { statement } from './statement.ts'
import { Tx } from './tx.ts'
import type { Wave } from './wave.ts'

const first = statement('wave_first', z.object({ id: z.int() }), 'select id from first')
const second = statement('wave_second', z.object({ id: z.int() }), 'select id from second')

const messageNames: Record<string, string> = {
  P: 'parse',
  B: 'bind',
  D: 'describe',
  E: 'execute',
  S: 'sync',
}

/** The messages in what is written: each a letter, its length, and texts that end with a NUL. */
function* readMessages(bytes: Buffer): Generator<string> {
  for (let at = 0; at < bytes.length; ) {
    const letter = String.fromCharCode(bytes.readUInt8(at))
    const end = at + 1 + bytes.readInt32BE(at + 1)
    const [one = '', two = ''] = bytes.toString('latin1', at + 5, end).split('\0')
    // Of a Bind the portal, which has no name, comes first.
    const statementName = letter === 'B' ? two : letter === 'P' ? one : ''
    yield `${messageNames[letter] ?? letter} ${statementName}`.trimEnd()
    at = end
  }
}

/** A connection that notes every message it is sent and leaves the answers to the test. */
function connection() {
  const messages: string[] = []
  const waves: Wave[] = []
  const parsedStatements: Record<string, string> = {}
  const write = (bytes: Buffer): void => {
    for (const message of readMessages(bytes)) {
      messages.push(message)
      const [what, name] = message.split(' ')
      if (what === 'parse' && name !== undefined) parsedStatements[name] = message
    }
  }
  const wire = { stream: { writable: true, write }, parsedStatements } as unknown as pg.Connection
  const query = (wave: Wave): void => {
    wave.submit(wire)
    waves.push(wave)
  }
  const taken = (): string[] => messages.splice(0)
  return { client: { query } as unknown as pg.ClientBase, waves, taken }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const ids = { fields: [{ name: 'id', dataTypeID: 23, format: 'text' }] }

test('statements of one turn go out with one Sync, and what the connection knows is not asked again', async () => {
  const { client, waves, taken } = connection()
  const tx = new Tx(client)
  const answers = [tx.run(first), tx.run(second)]
  await turn()
  const parsed = (name: string) => [`parse ${name}`, `bind ${name}`, 'describe', 'execute']
  expect(taken()).toEqual([...parsed('wave_first'), ...parsed('wave_second'), 'sync'])
  for (const id of ['1', '2']) {
    waves[0]?.handleRowDescription(ids)
    waves[0]?.handleDataRow({ fields: [id] })
    waves[0]?.handleCommandComplete({ text: 'SELECT 1' })
  }
  waves[0]?.handleReadyForQuery()
  expect(await Promise.all(answers)).toEqual([[{ id: 1 }], [{ id: 2 }]])

  const again = tx.run(first)
  await turn()
  expect(taken()).toEqual(['bind wave_first', 'execute', 'sync'])
  waves[1]?.handleDataRow({ fields: ['3'] })
  waves[1]?.handleCommandComplete({ text: 'SELECT 1' })
  waves[1]?.handleReadyForQuery()
  expect(await again).toEqual([{ id: 3 }])
})

test('what is sent while a wave is under way waits for its answer, and goes out together', async () => {
  const { client, waves, taken } = connection()
  const tx = new Tx(client)
  void tx.run(first)
  await turn()
  void tx.run(first)
  await turn()
  void tx.run(second)
  await turn()
  expect(waves).toHaveLength(1)
  taken()
  waves[0]?.handleCommandComplete({ text: 'SELECT 0' })
  waves[0]?.handleReadyForQuery()
  expect(waves).toHaveLength(2)
  expect(taken().filter((message) => message.startsWith('bind'))).toEqual([
    'bind wave_first',
    'bind wave_second',
  ])
})

test('the error of one is the error of all behind it, and of none before it', async () => {
  const { client, waves } = connection()
  const tx = new Tx(client)
  const answers = Promise.allSettled([tx.run(first), tx.run(second), tx.run(first)])
  await turn()
  waves[0]?.handleCommandComplete({ text: 'SELECT 0' })
  const error = new Error('second is gone')
  waves[0]?.handleError(error)
  expect(await answers).toEqual([
    { status: 'fulfilled', value: [] },
    { status: 'rejected', reason: error },
    { status: 'rejected', reason: error },
  ])
})

test('a COMMIT that is answered with another tag is an error: nothing was written', async () => {
  // Postgres answers so when the transaction has failed; here no statement said so before.
  const { client, waves, taken } = connection()
  const tx = new Tx(client)
  tx.begin()
  const committed = tx.commit()
  await turn()
  expect(taken().filter((message) => message.startsWith('bind'))).toEqual([
    'bind begin',
    'bind commit',
  ])
  waves[0]?.handleCommandComplete({ text: 'BEGIN' })
  waves[0]?.handleCommandComplete({ text: 'ROLLBACK' })
  waves[0]?.handleReadyForQuery()
  const refusal = { code: 'commit-refused', retry: 'transient-everything' }
  await expect(committed).rejects.toMatchObject(refusal)
})

test('is done once: its end stops the time-out of pg, and one that comes late changes nothing', async () => {
  const { client, waves } = connection()
  const tx = new Tx(client)
  const answer = tx.run(first)
  await turn()
  const wave = waves[0]
  const stopped = vi.fn<() => void>()
  if (wave) wave.callback = stopped
  wave?.handleCommandComplete({ text: 'SELECT 0' })
  wave?.handleReadyForQuery()
  wave?.handleError(new Error('Query read timeout'))
  expect(stopped).toHaveBeenCalledTimes(1)
  expect(await answer).toEqual([])
  expect(tx.firstError).toBeUndefined()
})
