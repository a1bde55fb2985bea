import type { Backoff, LingerBounds } from '@edp/runtime'
import type { LeaseBounds } from './lease.ts'

/** Every bound of a drain. */
export interface DrainBounds extends LeaseBounds {
  /** Rows of one fetch, and of one send. */
  readonly batchRowsMax: number
  /** Bytes of one send, so that a Kafka record batch stays below 1 MiB also when all rows have one key. */
  readonly batchBytesMax: number
  /** Bytes that one fetch aims at, reckoned by the rows of the last one. */
  readonly fetchBytesMax: number
  /** Rows that may be published and not yet deleted before publishing waits. */
  readonly undeletedRowsMax: number
  /** How long less than a batch of acknowledged rows waits for more, to be deleted together. */
  readonly deleteLingerMs: number
  /** The wait after an empty fetch doubles from the one to the other. */
  readonly pollMinMs: number
  readonly pollMaxMs: number
  /** And on to this, when nothing has come for a hundred times as long. */
  readonly pollIdleMaxMs: number
  /** How far apart fetches begin, by the rate of rows: a third of the CPU for some milliseconds more. */
  readonly linger: LingerBounds
  /** How often the table is scanned from zero, and sampled. */
  readonly scanIntervalMs: number
  /** Beyond so many gaps neighbours are joined. */
  readonly gapsMax: number
  /** How long a destination that failed is left alone. */
  readonly pauseBackoff: Backoff
  /** The wait after Postgres failed. */
  readonly databaseBackoff: Backoff
  /** How often a relay that stands by asks for the lease. */
  readonly standbyPollMs: number
}

export const defaultBounds: DrainBounds = {
  batchRowsMax: 1000,
  batchBytesMax: 860 * 1024,
  fetchBytesMax: 4 * 1024 * 1024,
  undeletedRowsMax: 4000,
  deleteLingerMs: 20,
  pollMinMs: 2,
  pollMaxMs: 20,
  pollIdleMaxMs: 100,
  linger: { msPerThousand: 5, maxMs: 15 },
  scanIntervalMs: 5000,
  gapsMax: 500,
  pauseBackoff: { baseMs: 100, capMs: 5000 },
  databaseBackoff: { baseMs: 100, capMs: 5000 },
  standbyPollMs: 250,
  leaseMs: 6000,
  marginMs: 1000,
}
