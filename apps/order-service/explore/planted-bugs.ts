import { liveness, type NetworkKind, parkingBag, plantedBugs, safety } from '@edp/saga'
import type { Order } from '../src/domain/order.ts'
import { type ChoreographyRules, realChoreography } from './choreography.ts'
import { type OrderInput, type OrderStep, receiveEvent } from './order-side.ts'

/** A wrong rule, with what the explorer has to find. */
export interface PlantedChoreographyBug {
  readonly name: string
  readonly network: NetworkKind
  readonly rules: ChoreographyRules
  readonly violates: string
}

/** Every wrong rule of the choreography that the explorer is known to find. */
export const plantedChoreographyBugs: readonly PlantedChoreographyBug[] = [
  {
    name: 'parked message claimed twice',
    network: parkingBag,
    rules: {
      ...realChoreography,
      network: { ...realChoreography.network, parkedClaimsInbox: true },
    },
    violates: liveness,
  },
  {
    name: 'release in parallel',
    network: { model: 'set' },
    rules: { ...realChoreography, releasedOn: 'order.cancelling' },
    violates: safety.reverse,
  },
  {
    name: 'no compare-and-set',
    network: { model: 'set' },
    rules: { ...realChoreography, receiveEvent: confirmBlindly },
    violates: safety.pivot,
  },
  atParticipant('no tombstone', safety.compensated),
  atParticipant('blind undo', safety.undoOfDone),
  atParticipant('void by look-up', safety.reverse),
  atParticipant('undo without its row lock', safety.undoOfDone),
]

// The participants of both styles keep the same ledger, so what is wrong there is wrong in both.
function atParticipant(name: string, violates: string): PlantedChoreographyBug {
  const bug = plantedBugs.find((one) => one.name === name)
  if (bug === undefined) throw new Error(`there is no bug ${name}`)
  const { participant } = bug.rules
  return { name, network: { model: 'set' }, rules: { ...realChoreography, participant }, violates }
}

// Writes what it read some time ago: the order was pending then.
function confirmBlindly(event: OrderInput, order: Order): OrderStep {
  if (event !== 'payment.captured' || order.status !== 'cancelling')
    return receiveEvent(event, order)
  return receiveEvent(event, { ...order, status: 'pending' })
}
