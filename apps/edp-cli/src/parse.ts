import { parseArgs } from 'node:util'
import { type Command, type Context, describedIn, type Output, type Shape } from './command.ts'
import { WrongUse } from './failures.ts'
import { nearest } from './nearest.ts'
import { httpUrl } from './services.ts'

/** Options that every command has. */
export const everywhere = {
  json: 'one JSON document on standard output',
  help: 'this help',
  url: 'where the service answers, instead of its setting or default',
} as const

/** What a command line asks for. */
export type Request =
  /** Of all, of a topic (`letters`), or of a command. */
  | { readonly kind: 'help'; readonly topic: string }
  | {
      readonly kind: 'run'
      readonly command: Command
      readonly json: boolean
      readonly url: string | undefined
      readonly run: (context: Context) => Promise<Output>
    }

/**
 * Reads a command line.
 * @throws WrongUse that says what was wrong, what was expected, and what was probably meant
 */
export function parseCommandLine(words: readonly string[], commands: readonly Command[]): Request {
  const [first, ...others] = words
  if (first === undefined) throw new WrongUse('no command was given')
  if (first === '--help' || first === '-h') return { kind: 'help', topic: '' }
  if (first === 'help') return { kind: 'help', topic: knownTopic(others.join(' '), commands) }
  if (first.startsWith('-')) throw new WrongUse(`expected a command before ${first}`)
  const verbs = verbsOf(first, commands)
  if (verbs.length === 0) throw new WrongUse(unknownWord(first, topicsOf(commands), 'command'))
  const [verb, ...rest] = others
  if (verb === '--help' || verb === '-h') return { kind: 'help', topic: first }
  if (verb === undefined || verb.startsWith('-')) {
    throw new WrongUse(`expected one of ${verbs.join(', ')} after '${first}'`, first)
  }
  const chosen = commands.find(({ name }) => name === `${first} ${verb}`)
  if (!chosen) throw new WrongUse(unknownWord(verb, verbs, `command of '${first}'`), first)
  return parseWords(rest, chosen)
}

/** The first words of all commands. */
export function topicsOf(commands: readonly Command[]): string[] {
  return [...new Set(commands.map(({ name }) => name.split(' ')[0] ?? ''))]
}

function verbsOf(topic: string, commands: readonly Command[]): string[] {
  return commands
    .filter(({ name }) => name.startsWith(`${topic} `))
    .map(({ name }) => name.slice(topic.length + 1))
}

function knownTopic(topic: string, commands: readonly Command[]): string {
  const known = ['', ...topicsOf(commands), ...commands.map(({ name }) => name)]
  if (known.includes(topic)) return topic
  throw new WrongUse(unknownWord(topic, known, 'command'))
}

function unknownWord(given: string, known: readonly string[], what: string): string {
  const meant = nearest(given, known)
  const hint = meant === undefined ? `there are ${known.join(', ')}` : `did you mean '${meant}'?`
  return `'${given}' is no ${what}: ${hint}`
}

function parseWords(words: readonly string[], command: Command): Request {
  const { options: shape, name } = command
  const known = [...Object.keys(shape), ...Object.keys(everywhere)]
  const { tokens } = parseArgs({
    args: [...words],
    options: {
      ...Object.fromEntries(Object.keys(shape).map((key) => [key, typeOf(shape, key)])),
      json: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      url: { type: 'string' },
    },
    // What is wrong is found below, where the commands and their names are known.
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const positionals: string[] = []
  const values = new Map<string, string[]>()
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    if (!known.includes(token.name)) {
      const meant = nearest(token.name, known)
      const hint = meant === undefined ? `it has ${optionList(known)}` : `did you mean --${meant}?`
      throw new WrongUse(`'${name}' has no option ${token.rawName}: ${hint}`, name)
    }
    const isFlag = !takesValue(shape, token.name)
    checkValue(token, isFlag, name)
    values.set(token.name, [...(values.get(token.name) ?? []), token.value ?? ''])
  }
  if (values.has('help')) return { kind: 'help', topic: name }
  const url = values.get('url')?.at(-1)
  const given = { args: toArguments(positionals, command), options: toOptions(values, command) }
  return {
    kind: 'run',
    command,
    json: values.has('json'),
    url: url === undefined ? undefined : httpUrl(url, '--url', name),
    run: command.bind(given),
  }
}

function typeOf(shape: Shape, key: string): { type: 'string' | 'boolean' } {
  return { type: takesValue(shape, key) ? 'string' : 'boolean' }
}

function takesValue(shape: Shape, key: string): boolean {
  if (key in shape) return describedIn(shape, key).placeholder !== undefined
  return key === 'url'
}

function checkValue(
  token: { rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  isFlag: boolean,
  command: string,
): void {
  const { rawName, value, inlineValue } = token
  if (isFlag && inlineValue) throw new WrongUse(`${rawName} takes no value`, command)
  if (isFlag) return
  if (value === undefined) throw new WrongUse(`${rawName} expects a value`, command)
  // `-` alone is standard input.
  if (!inlineValue && value.startsWith('-') && value !== '-') {
    throw new WrongUse(
      `${rawName} expects a value, found ${value}; a value like that is written ${rawName}=${value}`,
      command,
    )
  }
}

function toArguments(words: readonly string[], { args, name }: Command): Record<string, unknown> {
  const left = [...words]
  const given: Record<string, unknown> = {}
  for (const key of Object.keys(args)) {
    if (describedIn(args, key).many === true) given[key] = left.splice(0)
    else given[key] = left.shift()
  }
  if (left.length > 0) throw new WrongUse(`'${name}' does not expect '${left.join(' ')}'`, name)
  return given
}

function toOptions(
  values: ReadonlyMap<string, readonly string[]>,
  { options, name }: Command,
): Record<string, unknown> {
  const given: Record<string, unknown> = {}
  for (const key of Object.keys(options)) {
    const words = values.get(key)
    if (words === undefined) continue
    const { placeholder, many } = describedIn(options, key)
    if (many === true) given[key] = words
    else if (words.length > 1 && placeholder !== undefined) {
      throw new WrongUse(`--${key} was given twice`, name)
    } else given[key] = placeholder === undefined ? true : words[0]
  }
  return given
}

function optionList(known: readonly string[]): string {
  return known.map((option) => `--${option}`).join(', ')
}
