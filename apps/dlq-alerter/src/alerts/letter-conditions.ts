import { counted, duration, excerpt, type Finding, lettersSource, magnitude } from './alert.ts'

/** What the alerter's own tables say about one group that has letters which are not settled. */
export interface GroupFacts {
  readonly groupId: string
  readonly consumer: string
  readonly type: string | null
  readonly reason: string
  readonly errorCode: string
  readonly errorMessage: string
  readonly open: number
  readonly redriving: number
  /** Since when its oldest letter that is not settled is here. */
  readonly oldestOpenAt: Date
  readonly ignoredUntil: Date | null
  /** Silent until it has so many open letters. */
  readonly ignoredUntilCount: number | null
}

/** All that is to be known about the letters at one moment. */
export interface LetterFacts {
  readonly groups: readonly GroupFacts[]
  /** Whether there are more groups than could be read. */
  readonly truncated: boolean
  /** Letters of the last minute, without those of groups that are ignored. */
  readonly lettersLastMinute: number
}

/** What was told of the groups before. */
export interface ToldGroups {
  /** Since when the group's alert has been firing, by key. */
  readonly firingSince: ReadonlyMap<string, Date>
  /** Group alerts that began to fire within the last minute. */
  readonly begunLastMinute: number
  readonly floodFires: boolean
}

/** The bounds of the conditions about letters. */
export interface LetterBounds {
  readonly floodLettersPerMinute: number
  /** Groups that may begin to alert within a minute; more are a flood. */
  readonly groupsPerMinuteMax: number
  readonly openLevelMs: number
  readonly openAgeMaxMs: number
}

export const floodKey = 'dlq-flood'
export const groupRule = 'dlq-group'
const runbook = 'dead-letters.md'

/** The key of a group's own alert. */
export const groupKey = (groupId: string): string => `${groupRule}/${groupId}`

/**
 * What holds for the letters. A flood is one finding and silences everything new about groups: ten thousand letters, in
 * one group or in ten thousand, are one alert. Groups of which it kept quiet speak when it is over, if they are few
 * enough; while they are not, it is not over.
 */
export function letterFindings(options: {
  facts: LetterFacts
  told: ToldGroups
  bounds: LetterBounds
  now: Date
}): { findings: Finding[]; flood: boolean } {
  const { facts, told, bounds, now } = options
  const loud = facts.groups.filter((group) => !isIgnored(group, now))
  const newGroups = loud.filter(({ groupId }) => !told.firingSince.has(groupKey(groupId))).length
  // Half of it ends it: else a steady stream at the bound begins and ends a flood every minute.
  const rateMax = told.floodFires ? bounds.floodLettersPerMinute / 2 : bounds.floodLettersPerMinute
  const flood =
    facts.truncated ||
    facts.lettersLastMinute > rateMax ||
    newGroups + told.begunLastMinute > bounds.groupsPerMinuteMax
  const groups = loud.flatMap((group) => groupFindings({ group, told, bounds, now }))
  return { findings: flood ? [floodFinding(facts, loud), ...groups] : groups, flood }
}

/** Whether an operator has said that the group is to be quiet at this moment. */
export function isIgnored(group: GroupFacts, now: Date): boolean {
  if (group.ignoredUntil !== null && now < group.ignoredUntil) return true
  return group.ignoredUntilCount !== null && group.open < group.ignoredUntilCount
}

function floodFinding(facts: LetterFacts, loud: readonly GroupFacts[]): Finding {
  const unsettled = loud.reduce((sum, group) => sum + group.open + group.redriving, 0)
  const [largest] = loud.toSorted((a, b) => b.open - a.open)
  const groups = `${counted(loud.length, 'group')}${facts.truncated ? ' and more' : ''}`
  const most = largest ? `; most of ${largest.consumer}: ${headline(largest)}` : ''
  return {
    key: floodKey,
    rule: floodKey,
    source: lettersSource,
    severity: 'critical',
    summary:
      `Flood of dead letters: ${facts.lettersLastMinute} in the last minute, ${unsettled} open in ${groups}` +
      `${most}. Groups are silent until it is over`,
    labels: {},
    path: '/groups?status=open',
    runbook,
    level: magnitude(unsettled),
    forMs: 0,
  }
}

function groupFindings(options: {
  group: GroupFacts
  told: ToldGroups
  bounds: LetterBounds
  now: Date
}): Finding[] {
  const { group, told, bounds, now } = options
  const since = told.firingSince.get(groupKey(group.groupId))
  const openMs = since ? now.getTime() - since.getTime() : 0
  const ageMs = now.getTime() - group.oldestOpenAt.getTime()
  const letters = counted(group.open + group.redriving, 'dead letter')
  const findings = [
    finding(group, {
      rule: groupRule,
      severity: 'warning',
      summary: `${letters} of ${group.consumer}: ${headline(group)}; oldest ${group.oldestOpenAt.toISOString()}`,
      level: magnitude(group.open + group.redriving),
    }),
  ]
  if (openMs >= bounds.openLevelMs) {
    const summary = `${group.consumer} has had open dead letters for ${duration(openMs)}, ${letters} now: ${headline(group)}`
    findings.push(finding(group, { rule: 'dlq-level', severity: 'warning', summary, level: 1 }))
  }
  if (ageMs >= bounds.openAgeMaxMs) {
    const summary = `A dead letter of ${group.consumer} has been open for ${duration(ageMs)}, ${letters} in its group: ${headline(group)}`
    findings.push(finding(group, { rule: 'dlq-age', severity: 'critical', summary, level: 1 }))
  }
  return findings
}

function finding(
  group: GroupFacts,
  one: Pick<Finding, 'rule' | 'severity' | 'summary' | 'level'>,
): Finding {
  const { groupId, consumer, type, reason, errorCode } = group
  return {
    ...one,
    key: `${one.rule}/${groupId}`,
    source: lettersSource,
    labels: {
      group: groupId,
      consumer,
      type: type ?? 'unknown',
      reason,
      error_code: errorCode,
    },
    path: `/groups/${groupId}`,
    runbook,
    forMs: 0,
  }
}

const errorCharsMax = 200

function headline({ type, reason, errorCode, errorMessage }: GroupFacts): string {
  const [firstLine = ''] = errorMessage.split('\n', 1)
  return `${type ?? 'unknown type'}, ${reason}, ${errorCode}: ${excerpt(firstLine, errorCharsMax)}`
}
