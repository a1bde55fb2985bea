import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { contracts, type Contract } from '@edp/event-schemas'
import { z } from 'zod'
import { repositoryRoot } from '../stack-settings.ts'
import type { Json } from './fuzz-data.ts'
import type { WayIn } from './ways-in.ts'

/** A valid message, as it was once sent. */
export interface Example {
  readonly contract: Contract
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json
}

const golden = z.array(z.object({ headers: z.record(z.string(), z.string()), body: z.json() }))

// A card that is declined: what nobody ordered must not be paid for, or the books could not balance.
const chargedToken = '"tok_ok"'
const declinedToken = '"tok_declined"'

/** The golden messages of every type, by the topic or queue that they go to. */
export function readExamples(): (wayIn: WayIn) => readonly Example[] {
  const examples = contracts.flatMap((contract) => {
    const file = join(repositoryRoot, 'packages/event-schemas/golden', `${contract.type}.json`)
    const text = readFileSync(file, 'utf8').replaceAll(chargedToken, declinedToken)
    return golden.parse(JSON.parse(text)).map(({ headers, body }) => ({ contract, headers, body }))
  })
  return (wayIn) => examples.filter(({ contract }) => goesTo(contract, wayIn))
}

/** The queue of dead letters gets whatever went to another queue. */
function goesTo({ destination }: Contract, { transport, name, exchange }: WayIn): boolean {
  if (destination.transport === 'kafka') return transport === 'kafka' && destination.topic === name
  if (transport !== 'rabbitmq') return false
  if (exchange === 'dlx') return true
  return (
    exchange === destination.exchange &&
    name.replace(/\.express$/, '').endsWith(destination.routingKey.replace('{service}', ''))
  )
}
