/** A failure that a person can act on: its message is a sentence that says what to do. */
export class StackError extends Error {
  override readonly name = 'StackError'
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}
