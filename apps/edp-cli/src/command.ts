import { z } from 'zod'
import { WrongUse } from './failures.ts'
import { descriptions } from './options.ts'
import type { ServiceClient } from './service-client.ts'
import type { ServiceName } from './services.ts'
import type { Terminal } from './terminal.ts'

/** What a command has to say: `document` for `--json`, `text` for people. */
export interface Output {
  readonly document: unknown
  readonly text: string
  /** The services have answered, but what was asked for has failed: a redrive of which some died again. */
  readonly failed?: boolean
}

/** What a command works with, beside its own arguments and options. */
export interface Context {
  readonly terminal: Terminal
  /** Lines on the way to the result, for people alone: with `--json` nobody sees them. */
  readonly tell: (line: string) => void
  readonly client: (service: ServiceName) => ServiceClient
}

/** The schemas of arguments or options by name; `descriptions` has what the help says of each. */
export type Shape = z.ZodRawShape
type ValuesOf<S extends Shape> = z.output<z.ZodObject<S>>

/** A command as it is declared: its arguments in order, its options, and what it does. */
interface Declaration<Arguments extends Shape, Options extends Shape> {
  /** `letters list`. */
  readonly name: string
  readonly summary: string
  /** What is worth knowing beyond the summary. */
  readonly details?: string
  readonly args?: Arguments
  readonly options?: Options
  readonly run: (
    context: Context,
    args: ValuesOf<Arguments>,
    options: ValuesOf<Options>,
  ) => Promise<Output>
}

/** What a command line gives to a command: words, lists of words, `true` for a flag. */
export interface Given {
  readonly args: Readonly<Record<string, unknown>>
  readonly options: Readonly<Record<string, unknown>>
}

/** A command of which only the name, the help and the parser are seen. */
export interface Command {
  readonly name: string
  readonly summary: string
  readonly details: string | undefined
  readonly args: Shape
  readonly options: Shape
  /**
   * Checks what was given and says how to run it.
   * @throws WrongUse that names each argument and option that is not as expected
   */
  readonly bind: (given: Given) => (context: Context) => Promise<Output>
}

/** Declares a command. Its values get their types from its schemas, and lose them again in the table of all commands. */
export function command<const Arguments extends Shape = {}, const Options extends Shape = {}>(
  declaration: Declaration<Arguments, Options>,
): Command {
  const { name, summary, details, run } = declaration
  const args = z.object(declaration.args)
  const options = z.object(declaration.options)
  return {
    name,
    summary,
    details,
    args: args.shape,
    options: options.shape,
    bind: (given) => {
      const readArgs = args.safeParse(given.args)
      const readOptions = options.safeParse(given.options)
      if (readArgs.success && readOptions.success) {
        return (context) => run(context, readArgs.data, readOptions.data)
      }
      const problems = [
        ...problemsOf(readArgs.error, (key) => placeholderOf(args.shape, key) ?? key),
        ...problemsOf(readOptions.error, (key) => `--${key}`),
      ]
      throw new WrongUse(problems.join('\n'), name)
    },
  }
}

/** What stands for an argument or the value of an option in the help. */
export function placeholderOf(shape: Shape, key: string): string | undefined {
  return describedIn(shape, key).placeholder
}

/** What is said of an argument or option. */
export function describedIn(shape: Shape, key: string) {
  const schema = shape[key]
  const described = schema instanceof z.ZodType ? descriptions.get(schema) : undefined
  if (described === undefined) throw new Error(`nothing is said of ${key}`)
  return described
}

function problemsOf(error: z.ZodError | undefined, nameOf: (key: string) => string): string[] {
  return (error?.issues ?? []).map((issue) => `${nameOf(String(issue.path[0]))}: ${issue.message}`)
}
