/**
 * Messages on their way, each known by its text.
 * - `set`: what was sent can be delivered at any time, any number of times, for ever. Nothing remembers what was delivered,
 *   so the receivers alone have to be right. It is every duplicate and every order, and never a loss.
 * - `bag`: a delivery uses a message up. A broker's redelivery finds its id in the inbox and changes nothing, so it is no
 *   world of its own; a copy under a new id comes only from whoever sends again. A message may be lost at any time, or, where
 *   that is looked at step by step, be parked, become a dead letter, and be redriven by a person much later.
 * Each finds bugs that the other hides: what goes wrong because of a duplicate, and what goes wrong without one.
 */
export type Network = SetNetwork | BagNetwork

interface SetNetwork {
  readonly model: 'set'
  readonly sent: readonly string[]
}

interface BagNetwork extends BagFaults {
  readonly model: 'bag'
  readonly sent: readonly string[]
  readonly parked: readonly string[]
  readonly dead: readonly string[]
  /** Ids that were taken in and may come again; only a wrong rule sends under one. */
  readonly inbox: readonly string[]
}

/** What may go wrong in a bag. */
export interface BagFaults {
  /** Any message may vanish: a dead letter that nobody ever redrives. One that is redriven in the end was only slow. */
  readonly loses: boolean
  /** How many messages may be parked, and how many parked ones may become dead letters. */
  readonly parkings: number
  readonly deaths: number
}

/** How a network behaves. */
export type NetworkKind = { readonly model: 'set' } | ({ readonly model: 'bag' } & BagFaults)

/** Every message may be lost. */
export const lossyBag: NetworkKind = { model: 'bag', loses: true, parkings: 0, deaths: 0 }
/** No message is lost, one may be parked, become a dead letter and be redriven. */
export const parkingBag: NetworkKind = { model: 'bag', loses: false, parkings: 1, deaths: 1 }

/** How messages are named and taken in. */
export interface NetworkRules {
  /** The id under which a message is sent: undefined for a new one each time. */
  readonly messageId: (message: string) => string | undefined
  /** Whether the worker of parked messages claims the inbox, although the message was claimed when it was parked. */
  readonly parkedClaimsInbox: boolean
}

export const realNetworkRules: NetworkRules = {
  messageId: () => undefined,
  parkedClaimsInbox: false,
}

/** What may happen on the network. Without a message nothing is handled. */
export interface Delivery {
  readonly label: string
  readonly message: string | undefined
  readonly network: Network
  readonly byPerson?: boolean
}

export function emptyNetwork(kind: NetworkKind): Network {
  return kind.model === 'set'
    ? { ...kind, sent: [] }
    : { ...kind, sent: [], parked: [], dead: [], inbox: [] }
}

/**
 * The network with one message more. Equal messages count as one: a second copy in a bag is the first one, sent again as soon
 * as that was delivered.
 */
export function send(network: Network, message: string): Network {
  if (network.sent.includes(message)) return network
  return { ...network, sent: [...network.sent, message].toSorted() }
}

/** Everything that may be delivered, lost, parked, given up or sent again by a person. */
export function deliveries(network: Network, rules: NetworkRules): Delivery[] {
  if (network.model === 'set') {
    return network.sent.map((message) => ({ label: `receive ${message}`, message, network }))
  }
  return [
    ...network.sent.flatMap((message) => deliver(network, message, rules)),
    ...network.parked.flatMap((message) => unpark(network, message, rules)),
    ...network.dead.map((message) => ({
      label: `redrive ${message}`,
      message: undefined,
      network: {
        ...network,
        dead: without(network.dead, message),
        parked: [...network.parked, message],
      },
      byPerson: true,
    })),
  ]
}

function deliver(network: BagNetwork, message: string, rules: NetworkRules): Delivery[] {
  const taken = { ...network, sent: without(network.sent, message) }
  const id = rules.messageId(message)
  if (id !== undefined && network.inbox.includes(id)) {
    return [{ label: `drop ${message}: its id was seen`, message: undefined, network: taken }]
  }
  const claimed = id === undefined ? taken : { ...taken, inbox: [...network.inbox, id].toSorted() }
  const found: Delivery[] = [{ label: `receive ${message}`, message, network: claimed }]
  if (network.loses) {
    found.push({ label: `lose ${message}`, message: undefined, network: taken })
  }
  if (network.parkings > 0) {
    const parked = [...network.parked, message]
    const parking = { ...claimed, parked, parkings: network.parkings - 1 }
    found.push({ label: `park ${message}`, message: undefined, network: parking })
  }
  return found
}

function unpark(network: BagNetwork, message: string, rules: NetworkRules): Delivery[] {
  const taken = { ...network, parked: without(network.parked, message) }
  const found: Delivery[] = [
    rules.parkedClaimsInbox
      ? { label: `drop parked ${message}: its id was seen`, message: undefined, network: taken }
      : { label: `handle parked ${message}`, message, network: taken },
  ]
  if (network.deaths > 0) {
    found.push({
      label: `give up parked ${message}: a dead letter`,
      message: undefined,
      network: { ...taken, dead: [...network.dead, message], deaths: network.deaths - 1 },
    })
  }
  return found
}

export function encodeNetwork(network: Network): string {
  const sent = network.sent.join(',')
  if (network.model === 'set') return sent
  const { parked, dead, inbox, parkings, deaths } = network
  return `${sent};${parked.join(',')};${dead.join(',')};${inbox.join(',')};${parkings}${deaths}`
}

function without(messages: readonly string[], message: string): string[] {
  return messages.toSpliced(messages.indexOf(message), 1)
}
