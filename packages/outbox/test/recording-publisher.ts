import type { OutboxRow, Publisher, PublishOutcome } from '@edp/outbox'

/** The place of a counted message in the order of its key. */
export function sequenceOf(row: OutboxRow): number {
  return Number(JSON.parse(row.payload).sequence)
}

/** A broker that keeps what it gets in a list. Tests put a failure, or a wait, before or after that. */
export class RecordingPublisher implements Publisher {
  readonly log: OutboxRow[] = []
  readonly batches: number[] = []
  /** Decides about a batch; what it lets through is in the log. */
  handle: (rows: readonly OutboxRow[]) => Promise<PublishOutcome> | PublishOutcome = (rows) =>
    this.accept(rows)

  async publish(rows: readonly OutboxRow[]): Promise<PublishOutcome> {
    this.batches.push(rows.length)
    return await this.handle(rows)
  }

  accept(rows: readonly OutboxRow[]): PublishOutcome {
    this.log.push(...rows)
    return rows.map(() => undefined)
  }

  /** By key, the sequences of counted messages in the order of their first delivery. */
  sequences(): Map<string, number[]> {
    const seen = new Set<number>()
    const counted = this.log.filter((row) => !row.destination.endsWith('dead-letters'))
    const first = counted.filter((row) => !seen.has(row.id) && seen.add(row.id))
    return new Map(
      [...Map.groupBy(first, (row) => row.key)].map(([key, rows]) => [key, rows.map(sequenceOf)]),
    )
  }

  /** The keys whose messages did not come in the order in which they were committed. */
  inversions(): string[] {
    return [...this.sequences()]
      .filter(([, sequences]) => sequences.some((sequence, index) => sequence !== index + 1))
      .map(([key, sequences]) => `${key}: ${sequences.join(' ')}`)
  }
}
