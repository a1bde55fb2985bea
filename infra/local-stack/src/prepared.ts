import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Settings } from './settings.ts'

const preparedSchema = z.record(z.string(), z.string())

/** What was prepared on these servers, by name, so that a second `up` only looks whether it is still so. */
export function readPrepared(settings: Settings): Record<string, string> {
  try {
    return preparedSchema.parse(JSON.parse(readFileSync(pathOf(settings), 'utf8')))
  } catch {
    return {} // None, or cut short: preparing again does no harm.
  }
}

export function addPrepared(settings: Settings, marks: Readonly<Record<string, string>>): void {
  const all = { ...readPrepared(settings), ...marks }
  mkdirSync(settings.dir, { recursive: true })
  writeFileSync(pathOf(settings), `${JSON.stringify(all, null, 2)}\n`)
}

function pathOf({ dir }: Settings): string {
  return join(dir, 'prepared.json')
}
