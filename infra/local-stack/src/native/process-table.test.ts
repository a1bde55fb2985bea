import { describe, expect, it } from 'vitest'
import { leaderRuns, parseStat, processTable, remaining } from './process-table.ts'

const entry = (pid: number, group: number, started: string, isDead = false) => ({
  pid,
  group,
  started,
  isDead,
})

describe('parseStat', () => {
  it('reads a command that holds blanks and brackets', () => {
    const after = 'S 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987654 1000 10'
    expect(parseStat(`4243 (postgres: (io) worker) ${after}`)).toEqual(entry(4243, 4242, '987654'))
  })

  it('counts a zombie as dead only when its other threads, which hold the sockets, ended too', () => {
    const line = (threads: number) =>
      `4242 (beam.smp) Z 1 4242 4242 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 ${threads} 0 987654 0 0`
    expect(parseStat(line(24))?.isDead).toBe(false)
    expect(parseStat(line(1))?.isDead).toBe(true)
  })

  it('gives nothing for a line that is cut short', () => {
    expect(parseStat('4243 (redis) S 1')).toBeUndefined()
  })
})

describe('remaining', () => {
  const record = { pid: 100, started: '5' }

  it('finds the leader and the rest of its group', () => {
    const table = [entry(100, 100, '5'), entry(101, 100, '6'), entry(7, 7, '1')]
    expect(remaining(record, table).map(({ pid }) => pid)).toEqual([100, 101])
    expect(leaderRuns(record, table)).toBe(true)
  })

  it('finds the rest of a group whose leader was killed', () => {
    const table = [entry(101, 100, '6')]
    expect(remaining(record, table).map(({ pid }) => pid)).toEqual([101])
    expect(leaderRuns(record, table)).toBe(false)
  })

  it("leaves a stranger alone that was given the leader's pid", () => {
    const table = [entry(100, 100, '9'), entry(101, 100, '10')]
    expect(remaining(record, table)).toEqual([])
  })

  it('counts zombies as gone', () => {
    expect(remaining(record, [entry(100, 100, '5', true)])).toEqual([])
  })
})

describe('processTable', () => {
  it('holds this very process', () => {
    expect(processTable().map(({ pid }) => pid)).toContain(process.pid)
  })
})
