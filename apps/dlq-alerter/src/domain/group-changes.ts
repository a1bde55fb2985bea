import { unreachable } from '@edp/runtime'
import type { Letter, LetterStatus } from './letter.ts'

/** A letter that a transaction changes, or makes. */
export interface LetterChange {
  readonly before: Letter | undefined
  readonly after: Letter
}

/** What changes of a group: its counts, and its last failure when there was a new one. */
export interface GroupChange {
  readonly groupId: string
  readonly open: number
  readonly redriving: number
  readonly resolved: number
  readonly archived: number
  /** The letter that failed last, of those that failed now. */
  readonly failed: Letter | undefined
}

/** What changes of the groups of letters, one entry a group, sorted: however many letters of a hot one are in the batch. */
export function groupChanges(changes: Iterable<LetterChange>): GroupChange[] {
  const groups = new Map<string, GroupChange>()
  const count = (letter: Letter, by: 1 | -1): void => {
    const { groupId } = letter.failure
    groups.set(groupId, counted(groups.get(groupId) ?? unchanged(groupId), letter.state.status, by))
  }
  for (const { before, after } of changes) {
    if (before) count(before, -1)
    count(after, 1)
    if (before?.failure === after.failure) continue
    const { groupId } = after.failure
    const group = groups.get(groupId) ?? unchanged(groupId)
    groups.set(groupId, { ...group, failed: newest(group.failed, after) })
  }
  return [...groups.values()].filter(isChange).toSorted((a, b) => (a.groupId < b.groupId ? -1 : 1))
}

/** What changes of the groups of letters that are removed, one entry a group, sorted. */
export function removedFromGroups(
  letters: Iterable<{ readonly groupId: string; readonly status: LetterStatus }>,
): GroupChange[] {
  const groups = new Map<string, GroupChange>()
  for (const { groupId, status } of letters) {
    groups.set(groupId, counted(groups.get(groupId) ?? unchanged(groupId), status, -1))
  }
  return [...groups.values()].toSorted((a, b) => (a.groupId < b.groupId ? -1 : 1))
}

function unchanged(groupId: string): GroupChange {
  return { groupId, open: 0, redriving: 0, resolved: 0, archived: 0, failed: undefined }
}

function counted(group: GroupChange, status: LetterStatus, by: number): GroupChange {
  switch (status) {
    case 'open':
      return { ...group, open: group.open + by }
    case 'redriving':
      return { ...group, redriving: group.redriving + by }
    case 'resolved':
      return { ...group, resolved: group.resolved + by }
    case 'archived':
      return { ...group, archived: group.archived + by }
    default:
      return unreachable(status)
  }
}

function newest(known: Letter | undefined, letter: Letter): Letter {
  if (known === undefined) return letter
  return known.failure.lastFailedAt > letter.failure.lastFailedAt ? known : letter
}

function isChange({ open, redriving, resolved, archived, failed }: GroupChange): boolean {
  return failed !== undefined || [open, redriving, resolved, archived].some((by) => by !== 0)
}
