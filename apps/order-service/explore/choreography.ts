import {
  brokenProperty,
  describeEnding,
  deliveries,
  type Effects,
  emptyNetwork,
  encodeNetwork,
  encodeParticipant,
  type Exploration,
  goOn,
  type Model,
  type Move,
  type Network,
  type NetworkKind,
  type NetworkRules,
  type Participant,
  type ParticipantRules,
  type Reaction,
  realNetworkRules,
  realParticipantRules,
  receive,
  search,
  send,
  type StepTraits,
  untouched,
} from '@edp/saga'
import type { Order } from '../src/domain/order.ts'
import { giveUp, isOrderInput, type OrderStep, placed, receiveEvent } from './order-side.ts'

/** The rules that an exploration runs; a planted bug replaces one. */
export interface ChoreographyRules {
  readonly receiveEvent: typeof receiveEvent
  readonly giveUp: typeof giveUp
  /** The event on which the stock is released. */
  readonly releasedOn: 'payment.refunded' | 'order.cancelling'
  readonly participant: ParticipantRules
  readonly network: NetworkRules
}

export const realChoreography: ChoreographyRules = {
  receiveEvent,
  giveUp,
  releasedOn: 'payment.refunded',
  participant: realParticipantRules,
  network: realNetworkRules,
}

/** The order's row, the two participants, and the events on their way. */
interface World {
  readonly order: Order
  /** How often the order became confirmed; more than once only by a wrong rule. */
  readonly confirmed: number
  readonly stock: Participant
  readonly payment: Participant
  readonly shipped: number
  readonly network: Network
}

const reserve: StepTraits = { step: 'reserve', refusable: true, atGateway: false }
const charge: StepTraits = { step: 'charge', refusable: true, atGateway: true }

export const shippingFinds = 'what is shipped was reserved'

/** Everything that can happen to one order that several services fulfil without a conductor. */
export function exploreChoreography(
  network: NetworkKind,
  rules: ChoreographyRules = realChoreography,
): Exploration {
  const model: Model<World> = {
    initial: {
      order: placed,
      confirmed: 0,
      stock: untouched,
      payment: untouched,
      shipped: 0,
      network: send(emptyNetwork(network), 'order.placed'),
    },
    encode,
    moves: (world) => [
      ...byOrder(world, rules),
      ...byNetwork(world, rules),
      ...byStock(world, rules),
      ...byPayment(world, rules),
    ],
    broken,
    ending: (world) => describeEnding(withoutShipping(effectsOf(world))),
  }
  return search(model)
}

function broken(world: World): string | undefined {
  const { stock, shipped } = world
  if (shipped > 0 && stock.done - stock.undone < 1) return shippingFinds
  return brokenProperty(effectsOf(world))
}

function effectsOf({ order, confirmed, stock, payment, shipped }: World): Effects {
  return {
    steps: [
      { name: 'reserve', kind: 'compensatable', done: stock.done, undone: stock.undone },
      { name: 'charge', kind: 'compensatable', done: payment.done, undone: payment.undone },
      { name: 'confirm', kind: 'pivot', done: confirmed, undone: 0 },
      { name: 'ship', kind: 'retriable', done: shipped, undone: 0 },
    ],
    skipped: [],
    end: endOf(order, shipped),
  }
}

// Shipping follows from the confirmed order in both styles and is part of neither.
function withoutShipping(effects: Effects): Effects {
  return { ...effects, steps: effects.steps.filter((step) => step.name !== 'ship') }
}

// A confirmed order has ended when it is shipped.
function endOf(order: Order, shipped: number): Effects['end'] {
  if (order.status === 'cancelled') return 'compensated'
  return order.status === 'confirmed' && shipped > 0 ? 'completed' : undefined
}

// The customer may cancel and the deadline may pass at any moment, any number of times: the row decides.
function byOrder(world: World, rules: ChoreographyRules): Move<World>[] {
  const step = rules.giveUp(world.order)
  if (step.events.length === 0) return []
  return [{ label: 'the order is given up', world: afterOrderStep(world, step) }]
}

function afterOrderStep(world: World, { order, events }: OrderStep): World {
  const confirmed = world.confirmed + (events.includes('order.confirmed') ? 1 : 0)
  return { ...world, order, confirmed, network: events.reduce(send, world.network) }
}

function byNetwork(world: World, rules: ChoreographyRules): Move<World>[] {
  return deliveries(world.network, rules.network).flatMap((delivery): Move<World>[] => {
    const { label, network, message } = delivery
    const taken = { ...world, network }
    // A dead letter is redriven in the end. Nobody else would send the event again.
    if (message === undefined) return [{ label, world: taken }]
    return [
      ...onOrder(taken, message, rules),
      ...onStock(taken, message, rules),
      ...onPayment(taken, message, rules),
    ].map((move) => ({ world: move.world, label: `${label}: ${move.label}` }))
  })
}

function onOrder(world: World, event: string, rules: ChoreographyRules): Move<World>[] {
  if (!isOrderInput(event)) return []
  const step = rules.receiveEvent(event, world.order)
  return [{ label: `the order is ${step.order.status}`, world: afterOrderStep(world, step) }]
}

function onStock(world: World, event: string, rules: ChoreographyRules): Move<World>[] {
  if (event === 'order.placed') return atStock(world, 'do', rules)
  if (event === rules.releasedOn) return atStock(world, 'undo', rules)
  if (event === 'order.confirmed') return [{ label: 'shipped', world: ship(world) }]
  return []
}

// Once, by the status of the reservation.
function ship(world: World): World {
  return { ...world, shipped: 1 }
}

function atStock(world: World, direction: 'do' | 'undo', rules: ChoreographyRules): Move<World>[] {
  const command = { direction, attempt: 1 }
  return receive(world.stock, command, reserve, rules.participant).map((reaction) => ({
    label: reaction.label,
    world: afterStock(world, reaction, rules),
  }))
}

function byStock(world: World, rules: ChoreographyRules): Move<World>[] {
  return goOn(world.stock, reserve, rules.participant).map((reaction) => ({
    label: reaction.label,
    world: afterStock(world, reaction, rules),
  }))
}

function afterStock(
  world: World,
  { participant, reply }: Reaction,
  rules: ChoreographyRules,
): World {
  const next = { ...world, stock: participant }
  if (reply === undefined) return next
  // A transaction that fails is rolled back, and its message comes again.
  if (reply.outcome === 'failed') return { ...next, network: send(next.network, rules.releasedOn) }
  const answer = reply.outcome === 'ok' ? 'stock.reserved' : 'stock.rejected'
  const event = reply.direction === 'undo' ? 'stock.released' : answer
  return { ...next, network: send(next.network, event) }
}

function onPayment(world: World, event: string, rules: ChoreographyRules): Move<World>[] {
  if (event === 'stock.reserved') return atPayment(world, 'do', rules)
  if (event === 'order.cancelling') return atPayment(world, 'undo', rules)
  return []
}

function atPayment(
  world: World,
  direction: 'do' | 'undo',
  rules: ChoreographyRules,
): Move<World>[] {
  const command = { direction, attempt: 1 }
  return receive(world.payment, command, charge, rules.participant).map((reaction) => ({
    label: reaction.label,
    world: afterPayment(world, reaction),
  }))
}

function byPayment(world: World, rules: ChoreographyRules): Move<World>[] {
  return goOn(world.payment, charge, rules.participant).map((reaction) => ({
    label: reaction.label,
    world: afterPayment(world, reaction),
  }))
}

function afterPayment(world: World, { participant, reply }: Reaction): World {
  const next = { ...world, payment: participant }
  // A refund that the gateway refuses is no event: the payment's own due work asks again.
  if (reply === undefined || reply.outcome === 'failed') return next
  const answer = reply.outcome === 'ok' ? 'payment.captured' : 'payment.declined'
  const event = reply.direction === 'undo' ? 'payment.refunded' : answer
  return { ...next, network: send(next.network, event) }
}

function encode({ order, confirmed, stock, payment, shipped, network }: World): string {
  const parts = [encodeParticipant(stock), encodeParticipant(payment), encodeNetwork(network)]
  return `${order.status} ${confirmed}${shipped} ${parts.join('|')}`
}
