import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/**
 * A process of this machine. `started` tells it from a later one with the same pid. In a container
 * without an init process the dead may stay as zombies for ever.
 */
export type ProcessEntry = { pid: number; group: number; started: string; isDead: boolean }

/** Every process: from /proc where there is one (small images have no `ps`), else from `ps`. */
export function processTable(): ProcessEntry[] {
  return process.platform === 'linux' ? fromProc() : fromPs()
}

function fromProc(): ProcessEntry[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const entry = readStat(name)
      return entry === undefined ? [] : [entry]
    })
}

function readStat(pid: string): ProcessEntry | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return undefined // It ended between the listing and the reading.
  }
}

/** The line of /proc/PID/stat: the command, in brackets, may itself hold blanks and brackets. */
export function parseStat(line: string): ProcessEntry | undefined {
  const pid = Number.parseInt(line, 10)
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [state, , group] = fields
  const threads = fields[17]
  const started = fields[19]
  if (state === undefined || group === undefined || started === undefined) return undefined
  // A leading thread that ended before the others shows as Z, while they still hold the sockets.
  const isDead = (state === 'Z' || state === 'X') && Number(threads) <= 1
  return { pid, group: Number(group), started, isDead }
}

function fromPs(): ProcessEntry[] {
  const text = execFileSync('ps', ['-axo', 'pid=,pgid=,state=,lstart='], { encoding: 'utf8' })
  return text.split('\n').flatMap((line) => {
    const [pid, group, state, ...started] = line.trim().split(/\s+/)
    if (!pid || !group || !state) return []
    const isDead = state.startsWith('Z')
    return [{ pid: Number(pid), group: Number(group), started: started.join(' '), isDead }]
  })
}

/** What is recorded about a server that was started detached, so as the leader of its own group. */
export type ProcessRecord = { pid: number; started: string; fingerprint: string }

/**
 * The processes that are left of a recorded server. A pid is not given out again while its group has
 * members, so a leader with another start time means that the whole group is gone.
 */
export function remaining(
  record: Pick<ProcessRecord, 'pid' | 'started'>,
  table: readonly ProcessEntry[] = processTable(),
): ProcessEntry[] {
  const leader = table.find((entry) => entry.pid === record.pid)
  if (leader !== undefined && leader.started !== record.started) return []
  return table.filter((entry) => entry.group === record.pid && !entry.isDead)
}

/** Whether the recorded process itself runs. */
export function leaderRuns(
  record: Pick<ProcessRecord, 'pid' | 'started'>,
  table: readonly ProcessEntry[] = processTable(),
): boolean {
  return remaining(record, table).some((entry) => entry.pid === record.pid)
}

/** When a process started, in the words of this operating system; undefined when there is none. */
export function startOf(pid: number): string | undefined {
  return processTable().find((entry) => entry.pid === pid && !entry.isDead)?.started
}
