import { z } from 'zod'

/** What the help says of an argument or option, and what the parser needs to know of it. */
export interface Described {
  readonly summary: string
  /** Stands for the value, `LETTER`. None: a flag. */
  readonly placeholder?: string
  /** May be given more than once; of an argument: the rest of the line. */
  readonly many?: boolean
  readonly required?: boolean
}

/** Where the descriptions of arguments and options are kept: beside their schemas, which give their types. */
export const descriptions = z.registry<Described>()

const durationMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** On or off. */
export function flag(summary: string) {
  return z.boolean().default(false).register(descriptions, { summary })
}

/** Text that may be left out. */
export function text(placeholder: string, summary: string) {
  return z.string().min(1).optional().register(descriptions, { summary, placeholder })
}

/** Text that must be given. */
export function requiredText(placeholder: string, summary: string) {
  return z
    .string('it is required')
    .min(1, 'it is required')
    .register(descriptions, { summary, placeholder, required: true })
}

/** Text that may be given more than once. */
export function texts(placeholder: string, summary: string) {
  const described = { summary, placeholder, many: true }
  return z.array(z.string().min(1)).default([]).register(descriptions, described)
}

/** Text that must be given once or more. */
export function requiredTexts(placeholder: string, summary: string) {
  const described = { summary, placeholder, many: true, required: true }
  return z.array(z.string().min(1)).min(1, 'it is required').register(descriptions, described)
}

/** One of a few words. */
export function choice<const Words extends readonly [string, ...string[]]>(
  words: Words,
  summary: string,
) {
  return z
    .enum(words, `expected one of ${words.join(', ')}`)
    .optional()
    .register(descriptions, { summary, placeholder: words.join('|') })
}

/** A whole number from 1. */
export function count(placeholder: string, summary: string) {
  return z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'expected a whole number from 1')
    .transform(Number)
    .optional()
    .register(descriptions, { summary, placeholder })
}

/** A moment: an ISO time, or how far it is from now in the direction that makes sense for the option. */
export function moment(direction: 'ago' | 'ahead', summary: string) {
  const sign = direction === 'ago' ? -1 : 1
  return z
    .string()
    .transform((given, context) => {
      const time = readMoment(given, sign, Date.now())
      if (time !== undefined) return time
      context.addIssue('expected a time such as 2026-01-31T12:00:00Z, or 30s, 15m, 2h, 3d')
      return z.NEVER
    })
    .optional()
    .register(descriptions, { summary, placeholder: 'TIME|15m|2h|3d' })
}

function readMoment(given: string, sign: 1 | -1, nowMs: number): string | undefined {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(given) ?? []
  if (amount !== undefined && (unit === 's' || unit === 'm' || unit === 'h' || unit === 'd')) {
    return new Date(nowMs + sign * Number(amount) * durationMs[unit]).toISOString()
  }
  const iso = z.iso.datetime({ offset: true }).safeParse(given)
  return iso.success ? new Date(iso.data).toISOString() : undefined
}

/** Of lists: how much of it. */
export const paging = {
  limit: count('N', 'how many at most'),
  cursor: text('CURSOR', 'goes on where the page before ended'),
}

/** Of everything that is recorded: who does it, and why. */
export const onRecord = {
  by: text('NAME', 'who does it; default: the user of the operating system'),
  why: requiredText('TEXT', 'why: it is recorded'),
}
