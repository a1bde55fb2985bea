import { z } from 'zod'

/** The command line cannot be run as it is: what is wrong, and what was expected. Exit code 2. */
export class WrongUse extends Error {
  override readonly name = 'WrongUse'
  /** The command whose help says more, `letters list`; empty for the help of all. */
  readonly command: string

  constructor(message: string, command = '') {
    super(message)
    this.command = command
  }
}

/** What the services answer instead of a result: RFC 9457 problem details. */
export const problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
})
export type Problem = z.infer<typeof problem>

/** What was asked for could not be done. Exit code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  /** What the service said, where it said anything. */
  readonly problem: Problem | undefined

  constructor(message: string, said?: Problem) {
    super(message)
    this.problem = said
  }
}

/** A problem, for people: its title, its detail, and each thing that is wrong with the request. */
export function describeProblem({ title, status, detail, errors = [] }: Problem): string {
  const lines = errors.map(({ path, message }) => `  ${path}: ${message}`)
  return [`${title} (${status}): ${detail}`, ...lines].join('\n')
}
