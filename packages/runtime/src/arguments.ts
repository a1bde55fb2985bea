import type { z } from 'zod'
import { describeConfig } from './config.ts'

/**
 * For a program that takes its settings from the environment alone: answers `--help` with the list of them, and anything else
 * on the command line with what was expected and exit code 2. @returns whether the program goes on: nothing was asked
 */
export function hasNoArguments(name: string, settings: z.ZodType): boolean {
  const [argument] = process.argv.slice(2)
  if (argument === undefined) return true
  if (process.argv.includes('--help')) {
    process.stdout.write(
      `${name} reads these environment variables:\n${describeConfig(settings)}\n`,
    )
    return false
  }
  process.stderr.write(
    `${name}: unknown argument ${argument}: expected none, for the settings are environment variables, which --help lists\n`,
  )
  process.exitCode = 2
  return false
}
