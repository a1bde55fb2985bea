import { decide } from '../machine.ts'
import { type NetworkRules, realNetworkRules } from './network.ts'
import { type ParticipantRules, realParticipantRules } from './participant.ts'

/** The rules that an exploration runs. The real ones are those of production; a planted bug replaces one. */
export interface SagaRules {
  readonly decide: typeof decide
  /** Whether the saga's row stays when it has ended. */
  readonly keepsEnded: boolean
  readonly participant: ParticipantRules
  readonly network: NetworkRules
}

export const realRules: SagaRules = {
  decide,
  keepsEnded: true,
  participant: realParticipantRules,
  network: realNetworkRules,
}
