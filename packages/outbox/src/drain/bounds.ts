import type { Backoff } from '@edp/runtime'
import type { LeaseBounds } from './lease.ts'

/** Every bound of a drain. */
export interface DrainBounds extends LeaseBounds {
  /** Rows of one fetch, and of one send. */
  readonly batchRowsMax: number
  /** Bytes of one send, so that a Kafka record batch stays below 1 MiB also when all rows have one key. */
  readonly batchBytesMax: number
  /** Bytes that one fetch aims at, reckoned by the rows of the last one. */
  readonly fetchBytesMax: number
  /** Deletes that may be under way before publishing waits for them. */
  readonly deletesMax: number
  /** The wait after an empty fetch doubles from the one to the other. */
  readonly pollMinMs: number
  readonly pollMaxMs: number
  /** Under load, that is from so many rows in a fetch, fetches begin so far apart. */
  readonly lingerMs: number
  readonly lingerRowsMin: number
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
  deletesMax: 2,
  pollMinMs: 2,
  pollMaxMs: 20,
  lingerMs: 5,
  lingerRowsMin: 4,
  scanIntervalMs: 5000,
  gapsMax: 500,
  pauseBackoff: { baseMs: 100, capMs: 5000 },
  databaseBackoff: { baseMs: 100, capMs: 5000 },
  standbyPollMs: 250,
  leaseMs: 6000,
  marginMs: 1000,
}
