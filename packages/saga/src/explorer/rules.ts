import type { Definition } from '../definition.ts'
import { decide } from '../machine.ts'
import type { Decision, SagaInput, SagaState } from '../state.ts'
import { type NetworkRules, realNetworkRules } from './network.ts'
import { type ParticipantRules, realParticipantRules } from './participant.ts'

/** The rules that an exploration runs. The real ones are those of production; a planted bug replaces one. */
export interface SagaRules {
  readonly decide: (
    definition: Definition<null>,
    state: SagaState<null> | undefined,
    input: SagaInput<null>,
    now: number,
  ) => Decision<null>
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
