import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A process of this machine. `started` tells it from a later one with the same pid. */
export type ProcessEntry = { pid: number; group: number; started: string; state: string }

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
  const started = fields[19]
  if (state === undefined || group === undefined || started === undefined) return undefined
  return { pid, group: Number(group), started, state }
}

function fromPs(): ProcessEntry[] {
  const text = execFileSync('ps', ['-axo', 'pid=,pgid=,state=,lstart='], { encoding: 'utf8' })
  return text.split('\n').flatMap((line) => {
    const [pid, group, state, ...started] = line.trim().split(/\s+/)
    if (!pid || !group || !state) return []
    return [{ pid: Number(pid), group: Number(group), started: started.join(' '), state }]
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
  return table.filter((entry) => entry.group === record.pid && !isZombie(entry))
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
  return processTable().find((entry) => entry.pid === pid && !isZombie(entry))?.started
}

/** In a container without an init process the dead may stay as zombies for ever. */
function isZombie({ state }: ProcessEntry): boolean {
  return state.startsWith('Z') || state.startsWith('X')
}
