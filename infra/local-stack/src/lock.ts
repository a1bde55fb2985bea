import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { startOf } from './native/process-table.ts'
import { progress } from './progress.ts'

const POLL_INTERVAL_MS = 100

const holderSchema = z.object({ pid: z.number(), started: z.string() })

type Holder = z.output<typeof holderSchema>

/**
 * Runs `work` while no other command of the same stack changes it: `turbo dev` and a test run may both
 * bring it up at once. A lock whose holder is dead counts for nothing.
 */
export async function withLock<T>(dir: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 'lock')
  const own = `${path}.${process.pid}`
  // Linked into place, so that nobody ever reads a lock that is not yet written.
  writeFileSync(own, JSON.stringify({ pid: process.pid, started: startOf(process.pid) ?? '' }))
  try {
    await acquire(path, own)
  } finally {
    rmSync(own, { force: true })
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

async function acquire(path: string, own: string): Promise<void> {
  for (let told = false; ; ) {
    if (tryLink(own, path)) return
    const holder = readHolder(path)
    if (holder === undefined || !isAlive(holder)) {
      takeAway(path)
      continue
    }
    if (!told) progress(`waiting for another stack command (process ${holder.pid}) to finish`)
    told = true
    await sleep(POLL_INTERVAL_MS)
  }
}

/** Removes a dead holder's lock. Between reading and renaming another command may have taken it: give it back. */
function takeAway(path: string): void {
  const aside = `${path}.stale.${process.pid}`
  try {
    renameSync(path, aside)
  } catch {
    return // Somebody else took it away.
  }
  const holder = readHolder(aside)
  if (holder !== undefined && isAlive(holder)) tryLink(aside, path)
  rmSync(aside, { force: true })
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

function isAlive({ pid, started }: Holder): boolean {
  return startOf(pid) === started
}

function readHolder(path: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}
