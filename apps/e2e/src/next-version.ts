import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { z } from 'zod'
import { repositoryRoot } from './stack-settings.ts'

const run = promisify(execFile)

/**
 * The services that the next version concerns, in the order in which they are replaced. Who reads the second version of an event comes
 * before who writes it, and every order-service knows the second version of the saga before one starts it.
 */
export const replaced = [
  'order-service',
  'inventory-service',
  'payment-service',
  'notification-service',
  'order-statistics',
  'dlq-alerter',
  'outbox-relay',
] as const

/** What a developer would change: an optional field, a second version of an event, a second version of the saga; then that it is started. */
export type Patch = 'next-version.patch' | 'next-saga.patch'

const notCopied = new Set(['.git', '.turbo', '.stack'])

/**
 * A copy of this repository, or of such a copy, with a patch applied: with what is installed and built unless it is for an image.
 * @returns its folder, to be deleted by the caller
 * @throws Error when the patch does not fit the sources any more
 */
export async function patchedCopy(
  patch: Patch,
  { from = repositoryRoot, sourcesOnly = false }: { from?: string; sourcesOnly?: boolean } = {},
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'edp-next-version-'))
  try {
    cpSync(from, folder, {
      recursive: true,
      // So that only what was patched is newer than what was built of it.
      preserveTimestamps: true,
      // The packages of the workspace are links to folders beside them.
      verbatimSymlinks: true,
      filter: (path) => {
        const name = basename(path)
        if (relative(from, path) === 'node_modules' || notCopied.has(name)) return false
        return !(sourcesOnly && (name === 'node_modules' || name === 'dist'))
      },
    })
    if (!sourcesOnly)
      symlinkSync(join(repositoryRoot, 'node_modules'), join(folder, 'node_modules'))
    await applyPatch(patch, folder)
    return folder
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

/** @throws Error when the patch does not fit the sources any more */
export async function applyPatch(patch: Patch, folder: string): Promise<void> {
  await run('git', ['apply', join(import.meta.dirname, '../patches', patch)], { cwd: folder })
}

/** Builds apps in such a copy: what the patch left alone is built already. */
export async function buildCopy(folder: string, apps: readonly string[]): Promise<void> {
  const tsc = join(repositoryRoot, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [tsc, '-b', ...apps.map((app) => `apps/${app}`)], { cwd: folder })
}

/** How many orders each version of the saga has seen through. */
export async function sagasByVersion(ordersUrl: string): Promise<Record<string, number>> {
  const sql = `select definition_version as version, count(*)::int as count from saga
               where status in ('completed', 'compensated') group by 1 order by 1`
  const client = new pg.Client({ connectionString: ordersUrl })
  await client.connect()
  try {
    const rows = z
      .array(z.object({ version: z.number(), count: z.number() }))
      .parse((await client.query(sql)).rows)
    return Object.fromEntries(rows.map(({ version, count }) => [`v${version}`, count]))
  } finally {
    await client.end()
  }
}
