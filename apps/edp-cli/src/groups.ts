import { z } from 'zod'
import { command } from './command.ts'
import { WrongUse } from './failures.ts'
import { letterStatuses, lettersTable, letterView, selectedBy, withNext } from './letters.ts'
import { choice, count, flag, moment, onRecord, paging, requiredText, text } from './options.ts'
import { pathOf } from './service-client.ts'
import { age, formatFields, formatSection, formatTable } from './table.ts'

const groupView = z.looseObject({
  groupId: z.string(),
  consumer: z.string(),
  type: z.string().nullable(),
  reason: z.string(),
  errorCode: z.string(),
  errorMessage: z.string(),
  open: z.int(),
  redriving: z.int(),
  resolved: z.int(),
  archived: z.int(),
  firstSeenAt: z.string(),
  lastSeenAt: z.string(),
  ignoredUntil: z.string().nullable(),
  ignoredUntilCount: z.int().nullable(),
})
type GroupView = z.infer<typeof groupView>
const groupsPage = z.looseObject({ groups: z.array(groupView), nextCursor: z.string().nullable() })
const latest = z.looseObject({ letters: z.array(letterView) })

const shownLetters = 10

const list = command({
  name: 'groups list',
  summary: 'dead letters by their cause: same consumer, type, error and place in the code',
  options: {
    status: choice(letterStatuses, 'only groups that have such letters'),
    consumer: selectedBy.consumer,
    type: selectedBy.type,
    reason: selectedBy.reason,
    search: text('TEXT', 'whose error or type has this text'),
    ...paging,
  },
  run: async ({ client, terminal }, _, { search, ...query }) => {
    const { body, document } = await client('dlq-alerter').request(groupsPage, 'GET', '/groups', {
      query: { ...query, q: search },
    })
    const table = formatTable(
      body.groups,
      [
        ['GROUP', (group) => group.groupId],
        ['OPEN', (group) => group.open],
        ['REDRIVING', (group) => group.redriving],
        ['RESOLVED', (group) => group.resolved],
        ['ARCHIVED', (group) => group.archived],
        ['LAST', (group) => age(group.lastSeenAt)],
        ['CONSUMER', (group) => group.consumer],
        ['TYPE', (group) => group.type],
        ['REASON', (group) => group.reason],
        ['ERROR', (group) => `${group.errorCode}: ${group.errorMessage}`],
      ],
      terminal.columns,
    )
    return {
      document,
      text: body.groups.length === 0 ? 'no groups' : withNext(table, body.nextCursor),
    }
  },
})

const show = command({
  name: 'groups show',
  summary: 'one group and its latest letters',
  args: { group: requiredText('GROUP', 'the id of the group') },
  run: async ({ client, terminal }, { group }) => {
    const alerter = client('dlq-alerter')
    const [found, { body }] = await Promise.all([
      alerter.request(groupView, 'GET', pathOf`/groups/${group}`),
      alerter.request(latest, 'GET', '/letters', { query: { group, limit: shownLetters } }),
    ])
    return {
      document: { group: found.document, letters: body.letters },
      text:
        describeGroup(found.body) +
        formatSection('latest letters', lettersTable(body.letters, terminal.columns)),
    }
  },
})

const ignore = command({
  name: 'groups ignore',
  summary: 'no alerts of a group, until a time or a number of open letters',
  args: { group: requiredText('GROUP', 'the id of the group') },
  options: {
    until: moment('ahead', 'alerts again from then on'),
    'until-count': count('N', 'alerts again when so many letters are open'),
    stop: flag('alerts again from now on'),
    ...onRecord,
  },
  run: async ({ client, terminal }, { group }, options) => {
    const { until, 'until-count': untilCount, stop, by = terminal.user, why } = options
    if (stop ? (until ?? untilCount) !== undefined : (until ?? untilCount) === undefined) {
      throw new WrongUse(
        'expected --until, --until-count or both, or --stop alone',
        'groups ignore',
      )
    }
    const body = {
      ...(until !== undefined && { until }),
      ...(untilCount !== undefined && { untilCount }),
      by,
      why,
    }
    const { document } = await client('dlq-alerter').request(
      z.unknown(),
      stop ? 'DELETE' : 'POST',
      pathOf`/groups/${group}/ignore`,
      { body },
    )
    const untilWhen = [until, untilCount === undefined ? undefined : `${untilCount} open letters`]
    return {
      document: document ?? null,
      text: stop
        ? `${group} raises alerts again`
        : `${group} raises no alerts until ${untilWhen.filter((one) => one !== undefined).join(' or ')}`,
    }
  },
})

/** Commands of groups of dead letters. */
export const groupCommands = [list, show, ignore]

function describeGroup(group: GroupView): string {
  return formatFields([
    ['group', group.groupId],
    ['consumer', group.consumer],
    ['type', group.type],
    ['reason', group.reason],
    ['last error', `${group.errorCode}: ${group.errorMessage}`],
    ['open', group.open],
    ['redriving', group.redriving],
    ['resolved', group.resolved],
    ['archived', group.archived],
    ['first seen', group.firstSeenAt],
    ['last seen', group.lastSeenAt],
    ['ignored until', group.ignoredUntil],
    ['ignored until open', group.ignoredUntilCount],
  ])
}
