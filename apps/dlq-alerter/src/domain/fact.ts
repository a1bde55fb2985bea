import type { Coordination, DeadLetterReason } from '@edp/event-schemas'

/** Where a letter comes from: as its fact says, or `dlq`, the queue of what RabbitMQ itself dead-lettered. */
export type LetterSource = 'kafka' | 'rabbitmq' | 'outbox' | 'due-work' | 'dlq'

export type LetterOutcome = 'applied' | 'already-applied' | 'discarded'

/** A message as it was. `body` is text where it is UTF-8, else base64; the first 64 KiB of `bytes`, or all of it. */
export interface Content {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly encoding: 'utf8' | 'base64'
  readonly bytes: number
}

/** What a message failed with, the last time. */
export interface Failure {
  readonly groupId: string
  readonly fingerprint: string
  readonly reason: DeadLetterReason
  readonly errorCode: string
  readonly errorMessage: string
  readonly errorStack: string | null
  readonly attempts: number
  readonly firstFailedAt: Date
  readonly lastFailedAt: Date
}

/** Which message a letter is: the same over every redrive. */
export interface Subject {
  readonly source: LetterSource
  readonly position: string
  readonly type: string | null
  readonly key: string | null
  readonly correlationId: string | null
  readonly causationId: string | null
  readonly traceparent: string | null
  readonly coordination: Coordination
}

interface FactOf {
  /**
   * What the inbox knows it by: the envelope's id, or one made of the delivery; a uuid v7. Null: the inbox cannot know it, so it
   * is applied only to a letter of which nothing newer is known.
   */
  readonly id: string | null
  /** When it was said, by the clock of who said it. */
  readonly at: Date
  readonly consumer: string
  readonly messageId: string
}

/** A consumer could not handle a message. */
export interface Died extends FactOf {
  readonly kind: 'died'
  readonly subject: Subject
  readonly failure: Failure
  readonly content: Content
  /** The redrive after which it died again. */
  readonly redriveId: string | null
}

/** A letter is no more. */
export interface Resolved extends FactOf {
  readonly kind: 'resolved'
  readonly outcome: LetterOutcome
  readonly redriveId: string | null
}

/** How many messages wait behind a letter. */
export interface Waiting extends FactOf {
  readonly kind: 'waiting'
  readonly waiting: number
}

/** What is said of a letter. */
export type Fact = Died | Resolved | Waiting

/** That a letter was resolved before it came here. */
export interface EarlyResolution {
  readonly consumer: string
  readonly messageId: string
  readonly outcome: LetterOutcome
  readonly at: Date
}
