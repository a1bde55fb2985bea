import { z } from 'zod'
import { excerpt } from './alert.ts'

const reasonCharsMax = 300

/** Why a request failed, in a word, without the URL: it may hold a password. */
export function reasonOf(error: unknown): string {
  return excerpt(textOf(error), reasonCharsMax)
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (error.name === 'TimeoutError') return 'timed out'
  if (error instanceof z.ZodError) return 'not the answer that was expected'
  const { cause } = error
  // fetch says "fetch failed" and has the reason as its cause.
  if (cause instanceof Error) {
    return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
  }
  return error.message
}
