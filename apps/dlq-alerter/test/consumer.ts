import type { Alerter, Answer } from './alerter.ts'
import { died, resolved } from './given.ts'
import type { MessageDeadLetteredV1 } from '@edp/event-schemas'

/** What the service sent to a consumer about a letter. */
export interface Command {
  readonly type: string
  readonly messageId: string
  readonly redriveId: string | null
  readonly payload: Record<string, unknown>
}

/**
 * The consumers of other services, as far as the alerter sees them: takes the commands out of the outbox, as the relay would, in
 * the order in which they were sent.
 */
export async function takeCommands(alerter: Alerter): Promise<Command[]> {
  const rows = await alerter.postgres.query(
    `with taken as (delete from outbox where transport = 'rabbitmq' returning *)
     select type, payload from taken order by id`,
  )
  return rows.map((row) => {
    const payload = row['payload'] as Record<string, unknown>
    const { messageId, redriveId } = payload
    return {
      type: String(row['type']),
      messageId: String(messageId),
      redriveId: typeof redriveId === 'string' ? redriveId : null,
      payload,
    }
  })
}

/** What a consumer says of commands: each letter is applied, or has failed again. */
export function answersTo(
  commands: readonly Command[],
  letters: ReadonlyMap<string, MessageDeadLetteredV1>,
  fails: (messageId: string) => boolean = () => false,
) {
  return commands.flatMap(({ messageId, redriveId }) => {
    const letter = letters.get(messageId)
    if (!letter) return []
    return fails(messageId) ? died({ ...letter, redriveId }) : resolved(letter, { redriveId })
  })
}

/** The progress of a redrive, and how it stands. */
export async function progressOf(alerter: Alerter, started: Answer) {
  const { body } = await alerter.request('GET', `/redrives/${started.body.redriveId}`)
  return { state: body.state, canary: body.canary.result, ...body.progress }
}
