import { createRabbitPublisher } from '@edp/messaging'
import type { OutboxRow } from '@edp/outbox'
import { createLogger } from '@edp/runtime'
import { judgeDo, judgeUndo, type LedgerRow, settle } from '@edp/saga/participant'
import type { Random, TestDatabase } from '@edp/testkit'
import { afterAll } from 'vitest'
import { not, ok } from './replies.ts'

/** What the participants are to do with an order. */
export type Fate = 'ok' | 'out-of-stock' | 'declined'

export interface ParticipantsOptions {
  readonly database: TestDatabase
  readonly rabbitmqUrl: string
  readonly namespace: string
  readonly fateOf: (orderId: string) => Fate
  /** When given, one in four answers is lost, and one in four comes twice. */
  readonly random?: Random
}

/**
 * Plays the relay and both participants, with the rules of the real step ledger: takes the commands out of the outbox and puts
 * the answers on RabbitMQ. What they have done to each order can be looked at afterwards.
 */
export function playParticipants(options: ParticipantsOptions) {
  const { database, rabbitmqUrl, namespace } = options
  const publisher = createRabbitPublisher({
    url: rabbitmqUrl,
    logger: createLogger('participants', 'silent'),
  })
  const ledger = new Map<string, LedgerRow>()
  const effects = new Map<string, string[]>()
  let stopped = false

  const play = async (): Promise<void> => {
    while (!stopped) {
      const rows = await database.query(
        `select id, headers from outbox where transport = 'rabbitmq' order by id limit 100`,
      )
      const answers = rows.flatMap(({ headers }) => answersTo(headers))
      if (answers.length > 0) await publisher.publish(answers)
      await database.query(`delete from outbox where transport = 'rabbitmq' and id = any($1)`, [
        rows.map(({ id }) => id),
      ])
      if (rows.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  const answersTo = (headers: unknown): OutboxRow[] => {
    const command = readCommand(headers)
    const answer = (): OutboxRow => answerTo(command)
    // The effect is done in any case; only its answer may get lost, or come twice.
    const first = answer()
    const luck = options.random?.below(4)
    if (luck === 0) return []
    return luck === 1 ? [first, first, answer()] : [first]
  }

  const answerTo = ({ sagaId, step, direction, attempt }: Command): OutboxRow => {
    const key = (way: 'do' | 'undo') => `${sagaId}/${step}/${way}`
    const fresh = {
      sagaId,
      step,
      direction: 'do',
      fresh: true,
      outcome: 'started',
      reply: null,
    } as const
    const doRow = ledger.get(key('do')) ?? fresh
    const sent = { attempt, namespace }
    const note = (what: string) => effects.set(sagaId, [...(effects.get(sagaId) ?? []), what])
    if (direction === 'do') {
      const verdict = judgeDo(doRow)
      const refused = options.fateOf(sagaId) === (step === 'reserve' ? 'out-of-stock' : 'declined')
      const outcome = verdict.kind === 'answer' ? verdict.outcome : refused ? 'refused' : 'ok'
      if (verdict.kind === 'act') {
        ledger.set(key('do'), settle(doRow, outcome))
        if (outcome === 'ok') note(`${step} done`)
      }
      return outcome === 'ok'
        ? ok(sagaId, step, 'do', sent)
        : not(sagaId, step, 'do', { ...sent, outcome: 'refused' })
    }
    const verdict = judgeUndo(doRow, ledger.get(key('undo')))
    if (verdict.kind !== 'answer') {
      if (verdict.kind === 'act') note(`${step} undone`)
      else ledger.set(key('do'), settle(doRow, 'tombstone'))
      ledger.set(key('undo'), settle({ sagaId, step, direction: 'undo' }, 'ok'))
    }
    return ok(sagaId, step, 'undo', sent)
  }

  const playing = play()
  const stop = async (): Promise<void> => {
    stopped = true
    await playing
    await publisher.stop()
  }
  afterAll(stop)
  return {
    /** What was done to an order, in order: `reserve done`, `charge done`, `charge undone`. */
    effectsOn: (orderId: string): readonly string[] => effects.get(orderId) ?? [],
    /** The next ones must not share the outbox with these. */
    stop,
  }
}

interface Command {
  readonly sagaId: string
  readonly step: 'reserve' | 'charge'
  readonly direction: 'do' | 'undo'
  readonly attempt: number
}

function readCommand(headers: unknown): Command {
  const all = new Map(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)]))
  const of = (name: string): string => all.get(`cloudEvents_${name}`) ?? ''
  return {
    sagaId: of('sagaid'),
    step: of('step') === 'reserve' ? 'reserve' : 'charge',
    direction: of('direction') === 'do' ? 'do' : 'undo',
    attempt: Number(of('attempt')),
  }
}
