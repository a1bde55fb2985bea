/** What is counted: orders by what happened to them. */
export const tallyKinds = ['placed', 'confirmed', 'cancelled'] as const
export type TallyKind = (typeof tallyKinds)[number]

/** Which count: the orders to which it happened in one minute, by currency, or by the reason of a cancellation. */
export interface TallyKey {
  readonly minute: Date
  readonly kind: TallyKind
  readonly label: string
}

/** What a batch adds to a count. Never what is there: additions need no look at it, and so no order. */
export interface Tally extends TallyKey {
  readonly orders: number
  readonly amountMinor: number
}

const minuteMs = 60_000

/** The minute of an ISO time. */
export function minuteOf(time: string): Date {
  return new Date(Math.floor(Date.parse(time) / minuteMs) * minuteMs)
}

/** The key of a count in memory. */
export function formatTally({ minute, kind, label }: TallyKey): string {
  return `${minute.toISOString()}/${kind}/${label}`
}
