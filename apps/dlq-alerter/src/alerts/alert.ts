import { z } from 'zod'

export const severity = z.enum(['critical', 'warning', 'info'])
export type Severity = z.infer<typeof severity>

/** The source of what the alerter knows by itself: its letters and groups. Every other source is read over HTTP. */
export const lettersSource = 'letters'

/** A condition that holds now. Findings with one key are one alert over time. */
export interface Finding {
  /** Stable over time, processes and restarts: what receivers recognise the alert by. */
  readonly key: string
  readonly rule: string
  /** Who said so. While a source cannot be read, its alerts stay as they are. */
  readonly source: string
  readonly severity: Severity
  /** What, how many, since when: one line. */
  readonly summary: string
  readonly labels: Readonly<Record<string, string>>
  /** Where it is shown, below the alerter's public address. */
  readonly path: string
  /** A file among the runbooks. */
  readonly runbook: string
  /** The order of magnitude, from 1. A higher one than was told before is told again. */
  readonly level: number
  /** It holds this long before it is told. */
  readonly forMs: number
}

/** An alert as it is kept: a finding, and what was told of it. */
export interface Alert extends Omit<Finding, 'forMs'> {
  readonly status: 'pending' | 'firing' | 'resolved'
  /** When the condition was first seen to hold. */
  readonly startsAt: Date
  /** Since when it has not held any more, without interruption. */
  readonly quietSince: Date | null
  readonly endsAt: Date | null
}

/** An alert with its row's id. */
export interface StoredAlert extends Alert {
  readonly alertId: number
}

const instant = z.iso.datetime()

/** What a channel is to tell: the alert as it was when it changed. */
export const message = z.object({
  kind: z.enum(['firing', 'resolved', 'heartbeat']),
  /** Unique among all deployments that share a receiver. */
  dedupKey: z.string(),
  rule: z.string(),
  severity,
  summary: z.string(),
  labels: z.record(z.string(), z.string()),
  link: z.string(),
  runbook: z.string(),
  startsAt: instant,
  endsAt: instant.nullable(),
  /** Why another channel could not tell it. */
  undelivered: z.string().optional(),
})
export type Message = z.infer<typeof message>

/** The order of magnitude of a number: 1 from 1 on, 2 from 10, 3 from 100. */
export function magnitude(count: number): number {
  return Math.max(1, Math.floor(Math.log10(Math.max(1, count)) + 1e-9) + 1)
}

/** `1 letter`, `2 letters`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}

/** `90 s`, `5 min`, `3 h`, `2 d`: as exact as a person needs it. */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 120) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`
}

// Control characters, and halves of surrogate pairs, which a cut may leave: Postgres stores neither NUL nor those.
const unprintable = /\p{C}/gu

/** The beginning of a text from outside, of at most `charsMax` characters, as what can be stored and shown. */
export function excerpt(text: string, charsMax: number): string {
  return text.slice(0, charsMax).replaceAll(unprintable, ' ').trim()
}
