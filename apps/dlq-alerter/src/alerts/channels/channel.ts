import type { Message } from '../alert.ts'

export const channelNames = ['pagerduty', 'webhook', 'slack', 'log'] as const
export type ChannelName = (typeof channelNames)[number]

/**
 * What came of one attempt. `refused` is for good: the receiver will not take this message. `later` says nothing about
 * whether it has it: it is sent again, and recognised by its dedup key.
 */
export type Delivery =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'later'; readonly reason: string; readonly retryAfterMs?: number | undefined }

/** Where people are told. */
export interface Channel {
  readonly name: ChannelName
  /** One attempt, bounded in time. Never throws for what the receiver does. */
  deliver(message: Message): Promise<Delivery>
}
