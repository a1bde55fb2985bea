import { parseArgs } from 'node:util'
import {
  type Exploration,
  exploreBug,
  exploreSaga,
  lossyBag,
  type NetworkKind,
  parkingBag,
  plantedBugs,
  remotePivotExample,
  type Violation,
} from '@edp/saga'
import { orderFulfilment } from '../src/domain/fulfilment.ts'
import { exploreChoreography } from './choreography.ts'
import { plantedChoreographyBugs } from './planted-bugs.ts'

const help = `Usage: pnpm explore [--help]

Runs the order's saga, and its choreography, over everything that can happen: every order of messages, duplicates, losses,
time-outs, cancels, an operator's retry and skip, refusals, failing undos, parked messages and redrives. It is the code that
the services run: the saga's decide, the order's handlers, the rules of the step ledger. Then the same with one rule made
wrong at a time, each of which has to be found.

exit codes: 0 every property holds and every planted bug is found, 1 not, 2 wrong use
`

const gatewaySteps = ['charge']
const set: NetworkKind = { model: 'set' }

process.exitCode = run(process.argv.slice(2))

function run(args: string[]): number {
  const asked = read(args)
  if (asked !== 'explore') {
    process.stdout.write(help)
    return asked === 'help' ? 0 : 2
  }
  const good = [exploreAll(), findBugs()]
  return good.every(Boolean) ? 0 : 1
}

function read(args: string[]): 'help' | 'explore' | 'wrong' {
  try {
    const { values } = parseArgs({ args, options: { help: { type: 'boolean', short: 'h' } } })
    return values.help === true ? 'help' : 'explore'
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`)
    return 'wrong'
  }
}

function exploreAll(): boolean {
  const saga = (network: NetworkKind) => () =>
    exploreSaga(orderFulfilment, { network, gatewaySteps })
  const pivot = (network: NetworkKind) => () => exploreSaga(remotePivotExample, { network })
  const all: [string, () => Exploration][] = [
    ['order-fulfilment, nothing is ever used up', saga(set)],
    ['order-fulfilment, everything may be lost', saga(lossyBag)],
    ['a saga with a remote pivot, nothing is ever used up', pivot(set)],
    ['a saga with a remote pivot, everything may be lost', pivot(lossyBag)],
    ['choreography, nothing is ever used up', () => exploreChoreography(set)],
    ['choreography, parked, dead, redriven', () => exploreChoreography(parkingBag)],
  ]
  print(`${'worlds'.padStart(8)} ${'moves'.padStart(9)} ${'seconds'.padStart(8)}`)
  // Each is run and printed before the next: the first ones are worth reading meanwhile.
  return all.map(([name, explore]) => report(name, explore)).every(Boolean)
}

function report(name: string, explore: () => Exploration): boolean {
  const startedMs = performance.now()
  const { worlds, moves, violation } = explore()
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(2)
  const figures = `${String(worlds).padStart(8)} ${String(moves).padStart(9)} ${seconds.padStart(8)}`
  print(`${figures}  ${name}: ${violation ? 'VIOLATED' : 'every property holds'}`)
  if (violation) printViolation(violation)
  return violation === undefined
}

function findBugs(): boolean {
  print('\nplanted bugs, orchestrated')
  const orchestrated = plantedBugs.map((bug) =>
    foundBug(
      bug,
      bug.remotePivot
        ? exploreBug(bug, remotePivotExample, [])
        : exploreBug(bug, orderFulfilment, gatewaySteps),
    ),
  )
  print('\nplanted bugs, choreographed')
  const choreographed = plantedChoreographyBugs.map((bug) =>
    foundBug(bug, exploreChoreography(bug.network, bug.rules)),
  )
  return [...orchestrated, ...choreographed].every(Boolean)
}

function foundBug(
  { name, violates }: { readonly name: string; readonly violates: string },
  { violation }: Exploration,
): boolean {
  const found = violation?.property === violates
  const how = violation
    ? `after ${violation.trace.length} moves, "${violation.property}" is violated`
    : 'NOT FOUND'
  print(`  ${found ? 'found' : 'WRONG'}  ${name}: ${how}`)
  return found
}

function printViolation({ property, trace }: Violation): void {
  print(`\n  ${property}, and it does not:`)
  for (const [index, label] of trace.entries()) print(`  ${String(index + 1).padStart(3)} ${label}`)
  print('')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
