/** A failure that a person can act on: its message is a sentence that says what to do. */
export class StackError extends Error {
  override readonly name = 'StackError'
  /** 1: it failed; 2: it was asked for what there is not. */
  readonly exitCode: 1 | 2

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error)
}
