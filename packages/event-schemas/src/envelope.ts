import { z } from 'zod'
import { instant, priority, uuidV7 } from './fields.ts'
import { newId } from './new-id.ts'

/** Which style of saga a message belongs to. A handler of one style ignores the messages of the other. */
export const coordination = z.enum(['choreographed', 'orchestrated'])
export type Coordination = z.infer<typeof coordination>

/** Forward work or its undoing. */
export const direction = z.enum(['do', 'undo'])
export type Direction = z.infer<typeof direction>

/**
 * What every message carries beside its body: the attributes of CloudEvents 1.0 and our extensions.
 * `id` is a uuid v7, made once by the producer; the inbox partitions by its time.
 */
export const envelope = z.object({
  id: uuidV7,
  source: z.string().min(1),
  type: z
    .string()
    .regex(/^[a-z-]+(\.[a-z-]+)*\.v[1-9][0-9]*$/, 'expected a type such as order.placed.v1'),
  subject: z.string().min(1),
  time: instant,
  datacontenttype: z.literal('application/json'),
  correlationid: z.string().min(1),
  causationid: z.string().min(1).optional(),
  traceparent: z.string().min(1).optional(),
  coordination,
  sagaid: z.string().min(1).optional(),
  step: z.string().min(1).optional(),
  direction: direction.optional(),
  attempt: z.coerce.number().int().positive().optional(),
  /** Of the order that it is about; absent is `standard`, as in every message from before there were two. */
  priority: priority.optional(),
})
export type Envelope = z.infer<typeof envelope>

/** A message as a handler sees it: the body was checked against the schema of its contract. */
export interface Message<Body> {
  readonly envelope: Envelope
  readonly body: Body
}

/** A new message id. Ids made later sort later, across processes to the millisecond. */
export function newMessageId(): string {
  return newId()
}

/** `order.placed.v1` → `{ name: 'order.placed', version: 1 }`; undefined for anything else. */
export function parseType(type: string): { name: string; version: number } | undefined {
  const match = /^(.+)\.v([1-9][0-9]*)$/.exec(type)
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { name: match[1], version: Number(match[2]) }
}
