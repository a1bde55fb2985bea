import {
  createDrain,
  type DeadRowPolicy,
  discardDeadRow,
  type Drain,
  type DrainBounds,
  lockDeadRow,
  putBackDeadRow,
} from '@edp/outbox/drain'
import { AppError, createLogger, type Database, openDatabase } from '@edp/runtime'
import type { TestDatabase } from '@edp/testkit'
import type { OutboxRow, PublishOutcome } from '@edp/outbox'
import { type RecordingPublisher, sequenceOf } from './recording-publisher.ts'

export const tooLarge = new AppError('message-too-large', 'too large', { retry: 'permanent' })
const heldBack = new AppError('held-back', 'held back', { retry: 'transient-message' })

/** As the publishers of the brokers do: the rows at fault are named, what is behind one of its key is held back. */
export function refuse(
  broker: RecordingPublisher,
  isPoison: (row: OutboxRow) => boolean,
): (rows: readonly OutboxRow[]) => PublishOutcome {
  return (rows) => {
    const failed = new Set<string>()
    return rows.map((row) => {
      const key = `${row.destination} ${row.key}`
      if (failed.has(key)) return heldBack
      if (!isPoison(row)) return broker.accept([row])[0]
      failed.add(key)
      return tooLarge
    })
  }
}

/** Whether a row is this one of its key. */
export const isMessage = (key: string, sequence: number) => (row: OutboxRow) =>
  row.key === key && sequenceOf(row) === sequence

const lookEveryMs = 200

/**
 * A drain that looks at its lease all the time, so that it notices soon what another process put back. A short lease would make it do
 * that too, and would run out while the machine is busy.
 */
export function drainOf(options: {
  database: TestDatabase
  publisher: RecordingPublisher
  policy?: DeadRowPolicy
  bounds?: Partial<DrainBounds>
}): Drain {
  const { database, publisher, policy = 'halt', bounds } = options
  const drain = createDrain({
    database: 'test',
    url: database.relayUrl,
    transport: 'kafka',
    publisher,
    namespace: 'test',
    logger: createLogger('test', 'silent'),
    deadRowPolicy: () => policy,
    bounds: {
      pauseBackoff: { baseMs: 5, capMs: 50 },
      databaseBackoff: { baseMs: 5, capMs: 50 },
      standbyPollMs: 20,
      scanIntervalMs: 50,
      ...bounds,
    },
  })
  const looking = setInterval(() => drain.look(), lookEveryMs)
  const stop = async (): Promise<void> => {
    clearInterval(looking)
    await drain.stop()
  }
  return { ...drain, stop }
}

/** Another process than that of the drain, as the relay's role. */
export function openOperator(database: TestDatabase): Database {
  return openDatabase({ url: database.relayUrl, applicationName: 'test-operator', poolMax: 2 })
}

/** Puts the dead row back, or gives it up; gives how many came back behind it, undefined when it is not there. */
export async function settle(
  operator: Database,
  id: number,
  verb: 'put back' | 'discard',
): Promise<number | undefined> {
  const at = { database: 'test', namespace: 'test', now: new Date() }
  return await operator.transaction(async (tx) => {
    const row = await lockDeadRow(tx, 'kafka', id)
    if (row === undefined) return undefined
    return await (verb === 'discard' ? discardDeadRow : putBackDeadRow)(tx, row, at)
  })
}
