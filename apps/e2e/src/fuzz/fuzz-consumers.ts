import { setTimeout as sleep } from 'node:timers/promises'
import type { System } from '../system.ts'
import { account, type Fates, readTraces, SentIds, type Unaccounted } from './account.ts'
import { readExamples } from './examples.ts'
import { type FuzzData, fuzzData } from './fuzz-data.ts'
import { type FuzzMessage, fuzzMessage } from './fuzz-message.ts'
import { openRawSender, type RawSender } from './send-raw.ts'
import { waysIn } from './ways-in.ts'

export interface ConsumerFuzzOptions {
  readonly messages: number
  readonly seed: number
  readonly tell: (line: string) => void
}

/** What became of the messages, and what is wrong with that. */
export interface ConsumerFuzzResult {
  readonly fates: Fates
  readonly problems: readonly string[]
}

/** As many are sent before what became of them is looked up: a failure is found near to its cause. */
const roundMessages = 2000
const roundTimeoutMs = 120_000
const lookIntervalMs = 500
const problemsMax = 10
/** Errors that nobody meant to throw: the message is kept, but a programmer should know. */
const unforeseen = /: (TypeError|RangeError|ReferenceError|SyntaxError|Error|not-an-error)$/

/**
 * Sends messages that nobody means into every topic and queue, and looks up what became of each at each consumer: dead, with a letter
 * in dlq-alerter; waiting, with a reason; applied or a duplicate; or none of its business. Nothing vanishes.
 */
export async function fuzzConsumers(
  system: System,
  options: ConsumerFuzzOptions,
): Promise<ConsumerFuzzResult> {
  const make = messageMaker(system, fuzzData(options.seed))
  const sender = await openRawSender(system)
  const sent = new SentIds()
  const fates: Fates = new Map()
  const problems: string[] = []
  try {
    for (let tag = 0; tag < options.messages && problems.length < problemsMax; ) {
      const count = Math.min(roundMessages, options.messages - tag)
      const messages = Array.from({ length: count }, (_, index) => make(tag + index))
      const round = await runRound(system, { sender, sent, messages })
      for (const [name, times] of round.fates) fates.set(name, (fates.get(name) ?? 0) + times)
      problems.push(...round.unaccounted.slice(0, problemsMax).map(describe))
      tag += count
      if (tag < options.messages) options.tell(`${tag} messages sent and accounted for`)
    }
  } finally {
    await sender.close()
  }
  for (const name of fates.keys()) if (unforeseen.test(name)) problems.push(`unforeseen: ${name}`)
  return { fates, problems }
}

function messageMaker({ name }: System, data: FuzzData): (tag: number) => FuzzMessage {
  const examplesOf = readExamples()
  const subjects = [data.uuidV7(), data.uuidV7(), data.uuidV7()] as const
  const contexts = new Map(
    waysIn.map((wayIn) => {
      const examples = examplesOf(wayIn)
      return [wayIn, { data, examples, namespace: name, usedIds: [], subjects }]
    }),
  )
  return (tag) => {
    const wayIn = data.pick(waysIn)
    const context = contexts.get(wayIn)
    if (context === undefined) throw new Error(`no context for ${wayIn.name}`)
    return fuzzMessage(wayIn, tag, context)
  }
}

interface Round {
  readonly sender: RawSender
  readonly sent: SentIds
  readonly messages: readonly FuzzMessage[]
}

async function runRound(
  system: System,
  { sender, sent, messages }: Round,
): Promise<ReturnType<typeof account>> {
  const since = new Date(Date.now() - 1000)
  const arrived = await sender.send(messages)
  sent.add(arrived)
  const deadline = Date.now() + roundTimeoutMs
  for (;;) {
    const result = account(arrived, await readTraces(system, since, arrived), sent)
    if (result.unaccounted.length === 0 || Date.now() > deadline) return result
    await sleep(lookIntervalMs)
  }
}

function describe({ message, consumer, reading }: Unaccounted): string {
  const { tag, wayIn, key, headers, body } = message
  const text = body?.subarray(0, 1000).toString('utf8') ?? null
  const sent = { key, headers, body: text, bytes: body?.byteLength ?? 0 }
  return `message ${tag} to ${wayIn.name} should be ${reading} and left no trace at ${consumer.name}\n  ${JSON.stringify(sent)}`
}
