/**
 * How the message that kills its process is found. A process that handles a group of messages marks them first, so that one that is
 * killed leaves the group behind. Whoever gets a message of such a group handles it in a smaller one. The one that kills is soon
 * alone, and only a group of one is charged. Everything else has meanwhile been applied and never comes again.
 *
 * It is smaller by ten and not by two because a death is dear (ten seconds until Kafka gives the partitions away) and a group is cheap
 * (one more commit): among 1000 messages the killer is alone after three deaths and not ten.
 */
const timesSmaller = 10

/** The messages that another process of the consumer was handling when it was last heard of. */
export interface Mark {
  readonly messageIds: readonly string[]
  /** It was killed, for all that is known. */
  readonly isSilent: boolean
}

/**
 * Splits messages into groups that are handled one after the other, without changing their order. Each is at most a tenth of the
 * smallest group that one of its messages was marked in; what was in none makes no group smaller.
 */
export function groupsOf<M>(
  messages: readonly M[],
  marks: readonly Mark[],
  idOf: (message: M) => string,
): M[][] {
  const sizeMaxOf = sizesOf(marks)
  const groups: M[][] = []
  let group: M[] = []
  let groupSizeMax = Number.POSITIVE_INFINITY
  for (const message of messages) {
    const sizeMax = sizeMaxOf.get(idOf(message)) ?? Number.POSITIVE_INFINITY
    if (group.length > 0 && group.length >= Math.min(groupSizeMax, sizeMax)) {
      groups.push(group)
      group = []
      groupSizeMax = Number.POSITIVE_INFINITY
    }
    group.push(message)
    groupSizeMax = Math.min(groupSizeMax, sizeMax)
  }
  if (group.length > 0) groups.push(group)
  return groups
}

/** How many processes were killed over a group, which is none unless it is one message. */
export function killsOf(messageIds: readonly string[], marks: readonly Mark[]): number {
  const [only, ...others] = messageIds
  if (only === undefined || others.length > 0) return 0
  return marks.filter(
    (mark) => mark.isSilent && mark.messageIds.length === 1 && mark.messageIds[0] === only,
  ).length
}

/** How large a group with a message may be at most. */
function sizesOf(marks: readonly Mark[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { messageIds } of marks) {
    const size = Math.ceil(messageIds.length / timesSmaller)
    for (const id of messageIds) {
      sizes.set(id, Math.min(size, sizes.get(id) ?? Number.POSITIVE_INFINITY))
    }
  }
  return sizes
}
