import { type Command, describedIn, type Shape } from './command.ts'
import { everywhere, topicsOf } from './parse.ts'
import { services } from './services.ts'

/** The help of everything, of a topic such as `letters`, or of one command. */
export function helpOf(topic: string, commands: readonly Command[]): string {
  const command = commands.find(({ name }) => name === topic)
  return command ? helpOfCommand(command) : helpOfCommands(topic, commands)
}

function helpOfCommands(topic: string, commands: readonly Command[]): string {
  const listed = commands.filter(({ name }) => topic === '' || name.startsWith(`${topic} `))
  const usages = listed.map((command) => usageOf(command))
  const width = Math.max(...usages.map((usage) => usage.length))
  const groups = topicsOf(listed).map((group) =>
    listed
      .flatMap((command, index) =>
        command.name.startsWith(`${group} `)
          ? [`  ${(usages[index] ?? '').padEnd(width)}  ${command.summary}`]
          : [],
      )
      .join('\n'),
  )
  return [
    `Usage: pnpm edp ${topic === '' ? 'COMMAND' : `${topic} VERB`} [OPTION...]`,
    ...groups,
    `Each command has --help, and --json for ${everywhere.json}.\n${settingsHelp()}\n${exitCodes}`,
  ].join('\n\n')
}

function helpOfCommand(command: Command): string {
  const { args, options, summary, details } = command
  return [
    `Usage: pnpm edp ${usageOf(command)}${requiredOptions(command)} [OPTION...]`,
    details === undefined ? `${summary}.` : `${summary}.\n${details}`,
    listOf(Object.keys(args).map((key) => [describedIn(args, key).placeholder ?? key, args, key])),
    listOf(Object.keys(options).map((key) => [optionUsage(options, key), options, key])),
    [
      `  --url URL   ${everywhere.url}`,
      `  --json      ${everywhere.json}`,
      `  --help, -h  ${everywhere.help}`,
    ].join('\n'),
    exitCodes,
  ]
    .filter((part) => part !== '')
    .join('\n\n')
}

/** `letters show LETTER`. */
function usageOf({ name, args }: Command): string {
  const words = Object.keys(args).map((key) => {
    const { placeholder = key, many, required } = describedIn(args, key)
    const word = many === true ? `${placeholder}...` : placeholder
    return required === true ? word : `[${word}]`
  })
  return [name, ...words].join(' ')
}

/** ` --why TEXT`, for the options without which a command does not run. */
function requiredOptions({ options }: Command): string {
  return Object.keys(options)
    .filter((key) => describedIn(options, key).required === true)
    .map((key) => ` ${optionUsage(options, key)}`)
    .join('')
}

function optionUsage(options: Shape, key: string): string {
  const { placeholder } = describedIn(options, key)
  return placeholder === undefined ? `--${key}` : `--${key} ${placeholder}`
}

function listOf(lines: readonly (readonly [usage: string, shape: Shape, key: string])[]): string {
  const width = Math.max(0, ...lines.map(([usage]) => usage.length))
  return lines
    .map(([usage, shape, key]) => {
      const { summary, many, required } = describedIn(shape, key)
      const notes = [
        summary,
        ...(required === true ? ['required'] : []),
        ...(many === true ? ['may be repeated'] : []),
      ]
      return `  ${usage.padEnd(width)}  ${notes.join('; ')}`
    })
    .join('\n')
}

function settingsHelp(): string {
  const width = Math.max(...Object.values(services).map(({ setting }) => setting.length))
  const lines = Object.entries(services).map(
    ([service, { port, setting }]) =>
      `  ${setting.padEnd(width)}  ${service}, else port ${port} here`,
  )
  return `Where the services answer is said by --url, else by the environment:\n${lines.join('\n')}`
}

const exitCodes = `Exit codes: 0 done, 1 failed, 2 wrong use.`
