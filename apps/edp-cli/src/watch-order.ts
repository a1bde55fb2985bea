import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { Context, Output } from './command.ts'
import { CommandFailed } from './failures.ts'
import { pathOf } from './service-client.ts'
import { formatTable, printable } from './table.ts'

const timeline = z.looseObject({
  orderId: z.string(),
  status: z.string(),
  entries: z.array(
    z.looseObject({
      at: z.string(),
      type: z.string(),
      source: z.string(),
      detail: z.record(z.string(), z.unknown()).nullable(),
    }),
  ),
})
type Entry = z.infer<typeof timeline>['entries'][number]

const pollIntervalMs = 300
const ended: ReadonlySet<string> = new Set(['confirmed', 'cancelled'])

/** What happened to an order so far. */
export function readTimeline({ client }: Context, orderId: string) {
  return client('order-service').request(timeline, 'GET', pathOf`/orders/${orderId}/timeline`)
}

/** What happened, a line each. */
export function timelineTable(entries: readonly Entry[]): string {
  if (entries.length === 0) return ''
  return formatTable(entries, [
    ['AT', (entry) => entry.at],
    ['WHAT', (entry) => entry.type],
    ['FROM', (entry) => entry.source],
    ['DETAIL', (entry) => (entry.detail === null ? null : JSON.stringify(entry.detail))],
  ])
}

/**
 * Tells what happens to an order until it has ended, confirmed or cancelled. Ctrl-C ends the telling.
 * @throws CommandFailed when it has not ended in time
 */
export async function watchOrder(
  context: Context,
  orderId: string,
  timeoutMs: number,
): Promise<Output> {
  const { interrupted } = context.terminal
  const deadline = Date.now() + timeoutMs
  let told = 0
  for (;;) {
    const { body, document } = await readTimeline(context, orderId)
    for (const entry of body.entries.slice(told)) context.tell(entryLine(entry))
    told = body.entries.length
    if (ended.has(body.status) || interrupted.aborted) {
      return { document, text: `the order is ${body.status}` }
    }
    if (Date.now() >= deadline) {
      throw new CommandFailed(`the order is ${body.status} after ${timeoutMs / 1000} s`)
    }
    await sleep(pollIntervalMs, undefined, { signal: interrupted }).catch(() => undefined)
  }
}

const typeWidth = 27

function entryLine({ at, type, source, detail }: Entry): string {
  const what = detail === null ? '' : `  ${printable(JSON.stringify(detail))}`
  return `${at}  ${type.padEnd(typeWidth)}  ${source}${what}`
}
