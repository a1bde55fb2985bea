import type { Definition, Direction } from '../definition.ts'
import type { Reply, ReplyOutcome } from '../state.ts'

/** A message that can be on its way in an exploration. */
export type KnownMessage =
  | {
      readonly kind: 'command'
      /** Of the step. */
      readonly index: number
      readonly direction: Direction
      readonly attempt: number
    }
  | Reply

const directions: readonly Direction[] = ['do', 'undo', 'fence']
const outcomes: readonly ReplyOutcome[] = ['ok', 'refused', 'failed', 'fenced']
const attempts = [1, 2] as const

export function commandName(step: string, direction: Direction, attempt: number): string {
  return `${commandKey(step, direction)}#${attempt}`
}

/** What all attempts of a command have in common. */
export function commandKey(step: string, direction: Direction): string {
  return `${step}/${direction}`
}

export function replyName(step: string, direction: Direction, outcome: ReplyOutcome): string {
  return `${step}/${direction}=${outcome}`
}

/** Every message of a saga by its name, so that none has to be read back from text. */
export function knownMessages({ steps }: Definition<null>): Map<string, KnownMessage> {
  const known = new Map<string, KnownMessage>()
  for (const [index, { name: step }] of steps.entries()) {
    for (const direction of directions) {
      for (const attempt of attempts) {
        known.set(commandName(step, direction, attempt), {
          kind: 'command',
          index,
          direction,
          attempt,
        })
      }
      for (const outcome of outcomes) {
        known.set(replyName(step, direction, outcome), { kind: 'reply', step, direction, outcome })
      }
    }
  }
  return known
}
