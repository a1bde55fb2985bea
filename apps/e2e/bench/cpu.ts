import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { stackDirectory } from '../src/stack-settings.ts'

// What `getconf CLK_TCK` says on every Linux that Node runs on.
const ticksPerSecond = 100

/** CPU seconds that each process has used so far, by name. Only on Linux; elsewhere there are none. */
export type CpuSeconds = ReadonlyMap<string, number>

/** Reads the CPU time of the processes named, each alone, and of the servers of a native local stack with their children. */
export function readCpu(processes: Readonly<Record<string, number | undefined>>): CpuSeconds {
  const all = readProcesses()
  const seconds = new Map<string, number>()
  for (const [name, pid] of Object.entries(processes)) {
    const stat = pid === undefined ? undefined : all.get(pid)
    if (stat) seconds.set(name, stat.ticks / ticksPerSecond)
  }
  for (const [name, pid] of stackServers()) {
    const root = all.get(pid)
    if (root) seconds.set(name, treeTicks(root, all) / ticksPerSecond)
  }
  return seconds
}

/** What was used between two readings, in milliseconds for each of `count` pieces of work. */
export function cpuPer(before: CpuSeconds, after: CpuSeconds, count: number): Map<string, number> {
  const spent = new Map<string, number>()
  for (const [name, seconds] of after) {
    spent.set(name, ((seconds - (before.get(name) ?? 0)) * 1000) / count)
  }
  return spent
}

interface ProcessStat {
  pid: number
  parent: number
  ticks: number
  /** Of children that have ended. */
  childTicks: number
}

function readProcesses(): Map<number, ProcessStat> {
  const all = new Map<number, ProcessStat>()
  if (process.platform !== 'linux') return all
  for (const entry of readdirSync('/proc')) {
    const stat = /^\d+$/.test(entry) ? readStat(Number(entry)) : undefined
    if (stat) all.set(stat.pid, stat)
  }
  return all
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name, in parentheses, may hold anything: the numbers start behind it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const number = (index: number): number => Number(fields[index] ?? 0)
    return {
      pid,
      parent: number(1),
      ticks: number(11) + number(12),
      childTicks: number(13) + number(14),
    }
  } catch {
    return undefined
  }
}

function treeTicks(root: ProcessStat, all: ReadonlyMap<number, ProcessStat>): number {
  let ticks = root.ticks + root.childTicks
  for (const stat of all.values()) if (stat.parent === root.pid) ticks += treeTicks(stat, all)
  return ticks
}

const runFile = z.object({ pid: z.number() })

function stackServers(): [string, number][] {
  return ['postgres', 'kafka', 'rabbitmq', 'redis'].flatMap((name) => {
    try {
      const file = join(stackDirectory, 'run', `${name}.json`)
      return [[name, runFile.parse(JSON.parse(readFileSync(file, 'utf8'))).pid]]
    } catch {
      return []
    }
  })
}
