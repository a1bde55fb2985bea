import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { repositoryRoot } from '../src/stack-settings.ts'
import { buildImages } from './images.ts'

const run = promisify(execFile)

const notCopied = new Set(['node_modules', 'dist', '.git', '.turbo', '.stack'])

/**
 * Builds the images of a version that a developer would make: a copy of this repository with these patches applied.
 * @throws Error when a patch does not fit the sources any more
 */
export async function buildPatched(
  version: string,
  patches: readonly string[],
  services: readonly string[],
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'edp-next-version-'))
  try {
    cpSync(repositoryRoot, folder, {
      recursive: true,
      filter: (path) => !notCopied.has(basename(path)),
    })
    for (const patch of patches) {
      await run('git', ['apply', join(import.meta.dirname, patch)], { cwd: folder })
    }
    await buildImages(version, { folder, services })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
