import type { DueWork } from '@edp/messaging'
import { lockJobRows, saveJobRows } from '../db/job-rows.ts'
import { givenUp, type JobRow, redriven } from '../domain/sending.ts'
import { countDigests } from './digest.ts'
import { jobsConsumer } from './job-letter.ts'

/** The notifications that dead letters stand for: a redrive makes one due again, a discard cancels it. */
export function jobsDueWork(afterCommit: () => void): DueWork {
  return {
    consumer: jobsConsumer,
    lock: async (tx, ids) => {
      const rows = await lockJobRows(tx, ids)
      return new Set(
        [...rows.values()].filter(({ isDeadLettered }) => isDeadLettered).map(({ id }) => id),
      )
    },
    retry: async (tx, letters) => {
      const rows = await lockJobRows(
        tx,
        letters.map(({ messageId }) => messageId),
      )
      const retried = letters.flatMap(({ messageId, redriveId }) => {
        const row = rows.get(messageId)
        return row ? [unanswered(redriven(row, redriveId))] : []
      })
      await countDigests(tx, [...rows.values()])
      saveJobRows(tx, retried)
    },
    discard: async (tx, ids) => {
      const rows = await lockJobRows(tx, ids)
      saveJobRows(
        tx,
        [...rows.values()].map((row) => unanswered(givenUp(row))),
      )
    },
    afterCommit,
  }
}

const unanswered = (row: JobRow): { row: JobRow; response: null } => ({ row, response: null })
