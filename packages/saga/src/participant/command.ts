import {
  type CommandHeaders,
  type Contract,
  type Envelope,
  type Outgoing,
  outgoing,
  type SagaReply,
} from '@edp/event-schemas'
import { AppError } from '@edp/runtime'
import type { StepKey } from '../ledger.ts'
import { formatStep } from './step-names.ts'

/** What a participant answers to a command. */
export type Answer<Result> =
  | { readonly outcome: 'ok'; readonly result: Result }
  | { readonly outcome: 'refused' | 'failed'; readonly reason: string }

/**
 * Which attempt of which command a message is, from its headers.
 * @throws AppError `permanent` when it is no command for this step: who sent it has a bug
 */
export function commandOf(envelope: Envelope, key: StepKey): CommandHeaders {
  const { sagaid, step, direction, attempt } = envelope
  const isForStep = sagaid === key.sagaId && step === key.step && direction === key.direction
  if (isForStep && attempt !== undefined) return commandFor(key, attempt)
  const named = `${sagaid}/${step}/${direction}, attempt ${attempt}`
  const message = `${envelope.type} ${envelope.id} is for ${formatStep(key)}, its headers say ${named}`
  throw new AppError('not-the-command', message, { retry: 'permanent' })
}

/** The headers of an attempt of a command, and of the reply to it. */
export function commandFor({ sagaId, step, direction }: StepKey, attempt: number): CommandHeaders {
  return { sagaid: sagaId, step, direction, attempt }
}

/** The answer to a command, as a message of its own: also a repeated answer is a new one. */
export function replyTo<Result>(
  command: CommandHeaders,
  contract: Contract<SagaReply<Result>>,
  answer: Answer<Result>,
): Outgoing {
  const { sagaid: sagaId, step, direction, attempt } = command
  return outgoing(contract, sagaId, { sagaId, step, direction, attempt, ...answer }, command)
}
