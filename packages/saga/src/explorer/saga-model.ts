import type { Definition, Step } from '../definition.ts'
import type {
  ActiveState,
  CommandEffect,
  LocalEffect,
  ReplyOutcome,
  SagaInput,
  SagaState,
} from '../state.ts'
import { unreachable } from '../unreachable.ts'
import {
  deliveries,
  emptyNetwork,
  encodeNetwork,
  type Network,
  type NetworkKind,
  send,
} from './network.ts'
import {
  encodeParticipant,
  goOn,
  type Participant,
  type Reaction,
  receive,
  type StepTraits,
  untouched,
} from './participant.ts'
import { brokenProperty, describeEnding, type Effects } from './properties.ts'
import type { SagaRules } from './rules.ts'
import { commandName, type KnownMessage, knownMessages, replyName } from './saga-messages.ts'
import type { Model, Move } from './search.ts'

/** What an exploration of a saga is about. */
export interface SagaScenario {
  readonly definition: Definition<null>
  readonly network: NetworkKind
  /** The steps whose effect takes place at a gateway, outside of every transaction. */
  readonly gatewaySteps: readonly string[]
  /** How often somebody cancels, and how often an operator skips an undo. */
  readonly cancels: number
  readonly skips: number
  /** Every attempt behind this one counts as this one. */
  readonly attemptsMax: number
}

/** Everything that there is at one moment: the orchestrator's row, the participants, the messages. */
export interface SagaWorld {
  readonly saga: SagaState<null> | undefined
  /** How the saga has ended, also when its row is gone. */
  readonly end: 'completed' | 'compensated' | undefined
  readonly skipped: readonly string[]
  /** By the step's index. */
  readonly participants: readonly Participant[]
  readonly network: Network
  readonly cancels: number
  readonly skips: number
}

interface System {
  readonly definition: Definition<null>
  readonly traits: readonly StepTraits[]
  readonly messages: ReadonlyMap<string, KnownMessage>
  readonly rules: SagaRules
  readonly attemptsMax: number
}

type WorldMove = Move<SagaWorld>

/** The whole system around a saga, for `search`. */
export function sagaModel(scenario: SagaScenario, rules: SagaRules): Model<SagaWorld> {
  const { definition, network, cancels, skips, gatewaySteps, attemptsMax } = scenario
  const traits = definition.steps.map((step) => traitsOf(step, gatewaySteps))
  const messages = knownMessages(definition)
  const system: System = { definition, traits, messages, rules, attemptsMax }
  return {
    initial: {
      saga: undefined,
      end: undefined,
      skipped: [],
      participants: definition.steps.map(() => untouched),
      network: emptyNetwork(network),
      cancels,
      skips,
    },
    encode,
    moves: (world) => [
      ...byCustomer(system, world),
      ...byNetwork(system, world),
      ...byTimer(system, world),
      ...byOperator(system, world),
      ...byParticipants(system, world),
    ],
    broken: (world) => brokenProperty(effectsOf(definition, world)),
    ending: (world) => describeEnding(effectsOf(definition, world)),
  }
}

function traitsOf(step: Step<null>, gatewaySteps: readonly string[]): StepTraits {
  return {
    step: step.name,
    refusable: step.kind !== 'retriable',
    atGateway: gatewaySteps.includes(step.name),
  }
}

function effectsOf({ steps }: Definition<null>, world: SagaWorld): Effects {
  const { skipped, end, participants } = world
  const effects = steps.map(({ name, kind }, index) => {
    const { done, undone } = participants[index] ?? untouched
    return { name, kind, done, undone }
  })
  return { steps: effects, skipped, end }
}

// The same order may be placed twice, and cancelled at any moment.
function byCustomer(system: System, world: SagaWorld): WorldMove[] {
  const start: SagaInput<null> = { kind: 'start', context: null }
  const placed = decided(system, world, { input: start, label: 'the order is placed' })
  if (world.cancels === 0) return placed
  const asked = { ...world, cancels: world.cancels - 1 }
  const cancel: SagaInput<null> = { kind: 'cancel' }
  return [...placed, ...byPerson(decided(system, asked, { input: cancel, label: 'cancel' }))]
}

function byOperator(system: System, world: SagaWorld): WorldMove[] {
  const retry: SagaInput<null> = { kind: 'operator', verb: 'retry' }
  const retried = decided(system, world, { input: retry, label: 'an operator retries' })
  if (world.skips === 0) return byPerson(retried)
  const asked = { ...world, skips: world.skips - 1 }
  const skip: SagaInput<null> = { kind: 'operator', verb: 'skip' }
  const skipped = decided(system, asked, { input: skip, label: 'an operator skips' })
  return byPerson([...retried, ...skipped])
}

function byPerson(moves: readonly WorldMove[]): WorldMove[] {
  return moves.map((move) => ({ ...move, byPerson: true }))
}

// Three timers: of an attempt, of an answer that a person is told of when it does not come, and of the deadline. Nothing
// is known of when things happen, so each may come at any moment.
function byTimer(system: System, world: SagaWorld): WorldMove[] {
  const { saga } = world
  if (saga === undefined || !isActive(saga)) return []
  const input: SagaInput<null> = { kind: 'due', version: saga.version, transport: 'running' }
  const silent = { ...world, saga: { ...saga, silentMs: for365DaysMs } }
  const what = `${saga.direction} ${saga.step}`
  return [
    ...decided(system, world, { input, label: `${what} is sent again` }),
    ...decided(system, silent, { input, label: `${what} is silent for too long` }),
    ...decided(system, world, { input, label: 'the deadline passes', now: for365DaysMs }),
  ]
}

const for365DaysMs = 365 * 24 * 3600 * 1000

function byNetwork(system: System, world: SagaWorld): WorldMove[] {
  return deliveries(world.network, system.rules.network).flatMap((delivery): WorldMove[] => {
    const { label, network, byPerson: helped = false } = delivery
    const taken = { ...world, network }
    if (delivery.message === undefined) return [{ label, world: taken, byPerson: helped }]
    const known = system.messages.get(delivery.message)
    if (known === undefined) throw new Error(`nobody sends ${delivery.message}`)
    if (known.kind === 'reply') return decided(system, taken, { input: known, label, taking: true })
    const { index, direction, attempt } = known
    const { traits, rules } = system
    const participant = world.participants[index]
    const of = traits[index]
    if (participant === undefined || of === undefined) return []
    return receive(participant, { direction, attempt }, of, rules.participant).map((reaction) => ({
      label: `${label}: ${reaction.label}`,
      world: afterReaction(taken, reaction, { index, step: of.step }),
    }))
  })
}

function byParticipants({ traits, rules }: System, world: SagaWorld): WorldMove[] {
  return world.participants.flatMap((participant, index) => {
    const of = traits[index]
    if (of === undefined) return []
    return goOn(participant, of, rules.participant).map((reaction) => ({
      label: reaction.label,
      world: afterReaction(world, reaction, { index, step: of.step }),
    }))
  })
}

function afterReaction(
  world: SagaWorld,
  { participant, reply }: Reaction,
  { index, step }: { readonly index: number; readonly step: string },
): SagaWorld {
  const participants = world.participants.with(index, participant)
  if (reply === undefined) return { ...world, participants }
  const message = replyName(step, reply.direction, reply.outcome)
  return { ...world, participants, network: send(world.network, message) }
}

interface Told {
  readonly input: SagaInput<null>
  readonly label: string
  readonly now?: number
  /** The input was taken from the network, so that something has changed even if nothing is decided. */
  readonly taking?: boolean
}

/**
 * Everything that an input may lead to in the orchestrator's transaction: more than one thing when it gets to local steps,
 * whose outcome is open.
 */
function decided(system: System, world: SagaWorld, told: Told): WorldMove[] {
  const { input, label, now = 0, taking = false } = told
  const { state, effects, note } = system.rules.decide(system.definition, world.saga, input, now)
  if (state === world.saga && effects.length === 0) {
    return taking ? [{ label: `${label} (${note})`, world }] : []
  }
  // Only a row that was deleted can be started again; how the first one ended is nobody's concern then.
  let end = input.kind === 'start' ? undefined : world.end
  let saga = timeless(state, system.attemptsMax)
  let { network } = world
  let local: LocalEffect | undefined
  for (const effect of effects) {
    switch (effect.kind) {
      case 'command':
        network = send(network, commandOf(effect, system.attemptsMax))
        break
      case 'local':
        local = effect
        break
      case 'ended':
        end = effect.status
        if (!system.rules.keepsEnded) saga = undefined
        break
      case 'turned':
      case 'needs-human':
        break
      default:
        return unreachable(effect)
    }
  }
  const next = { ...world, saga, end, network, skipped: state?.skipped ?? [] }
  return local === undefined ? [{ label, world: next }] : runLocal(system, next, local, told)
}

function commandOf({ step, direction, attempt }: CommandEffect, attemptsMax: number): string {
  return commandName(step, direction, Math.min(attempt, attemptsMax))
}

function runLocal(system: System, world: SagaWorld, effect: LocalEffect, told: Told): WorldMove[] {
  const { step, direction } = effect
  const index = system.traits.findIndex((traits) => traits.step === step)
  const before = world.participants[index] ?? untouched
  const done =
    direction === 'do'
      ? { ...before, done: before.done + 1 }
      : { ...before, undone: before.undone + 1 }
  const refusable = direction === 'do' && system.traits[index]?.refusable === true
  const outcomes: readonly (readonly [ReplyOutcome, Participant])[] = [
    ['ok', done],
    [refusable ? 'refused' : 'failed', before],
  ]
  return outcomes.flatMap(([outcome, participant]) => {
    const acted = { ...world, participants: world.participants.with(index, participant) }
    const input = { kind: 'reply', step, direction, outcome } as const
    const label = `${told.label}, ${direction} ${step} ${outcome}`
    return decided(system, acted, { ...told, input, label, taking: true })
  })
}

function isActive(saga: SagaState<null>): saga is ActiveState<null> {
  return saga.status !== 'completed' && saga.status !== 'compensated'
}

// Versions, times and causes tell apart what behaves alike; of attempts, only the first is unlike the others.
function timeless(
  saga: SagaState<null> | undefined,
  attemptsMax: number,
): SagaState<null> | undefined {
  if (saga === undefined || !isActive(saga)) return saga
  return {
    ...saga,
    version: 1,
    attempt: Math.min(saga.attempt, attemptsMax),
    dueAt: 0,
    silentMs: 0,
  }
}

function encode(world: SagaWorld): string {
  const { saga, end, skipped, participants, network, cancels, skips } = world
  const row =
    saga !== undefined && isActive(saga)
      ? `${saga.status}/${saga.step}/${saga.direction}#${saga.attempt}`
      : saga?.status
  const all = participants.map(encodeParticipant).join('|')
  return `${row} ${end} ${skipped.join(',')} ${cancels}${skips} ${all} ${encodeNetwork(network)}`
}
