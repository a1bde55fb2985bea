import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'

/** The root of the repository. */
export const repositoryRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')

/** Where the local stack keeps its data, logs and settings. */
export const stackDirectory = resolve(repositoryRoot, process.env['STACK_DIR'] ?? '.stack')

/** Where processes that belong to one run keep their logs and files; not committed. */
export function runDirectory(name: string): string {
  return join(stackDirectory, 'runs', name)
}

/**
 * The settings that `stack up` wrote for an app, or for `stack` itself.
 * @throws Error that says what to run when there are none
 */
export function readStackEnv(name: string): Record<string, string> {
  const file = join(stackDirectory, 'env', `${name}.env`)
  if (!existsSync(file)) throw new Error(`${file} is missing: run \`npx pnpm@12 stack up\` first`)
  const settings: Record<string, string> = {}
  for (const [key, value] of Object.entries(parseEnv(readFileSync(file, 'utf8')))) {
    if (value !== undefined) settings[key] = value
  }
  return settings
}

/** One of the settings of `stack up` for an app. */
export function stackSetting(name: string, key: string): string {
  const value = readStackEnv(name)[key]
  if (value === undefined) throw new Error(`${key} is missing in .stack/env/${name}.env`)
  return value
}
