import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Action, type Definition, exploreSaga, lossyBag, type Step } from '../index.ts'
import { defaultPolicy } from '../definition.ts'

// `pnpm --filter @edp/saga nightly` explores many more, in which undos are skipped too.
const runs = Number(process.env['EXPLORE_RUNS'] ?? 6)
const compensatableMax = Number(process.env['EXPLORE_STEPS_MAX'] ?? 2)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)
const skips = Number(process.env['EXPLORE_SKIPS'] ?? 0)
const worldsMax = 3_000_000

type Where = 'remote' | 'local' | 'gateway'

interface Shape {
  readonly compensatable: readonly Where[]
  readonly pivot: Where | undefined
  readonly retriable: readonly Where[]
  readonly deadlineMs: number | null
}

const where = fc.constantFrom<Where>('remote', 'local', 'gateway')
const shape: fc.Arbitrary<Shape> = fc
  .record({
    compensatable: fc.array(where, { maxLength: compensatableMax }),
    pivot: fc.option(where, { nil: undefined }),
    retriable: fc.array(fc.constantFrom<Where>('remote', 'local'), { maxLength: 1 }),
    deadlineMs: fc.constantFrom(60_000, null),
  })
  .filter(({ compensatable, pivot, retriable }) =>
    Boolean(compensatable.length + retriable.length || pivot),
  )

function action(of: Where): Action<null> {
  return of === 'local'
    ? { kind: 'local', action: 'any' }
    : { kind: 'remote', command: 'any.v1', payload: () => null }
}

function pivotStep(of: Where): Step<null> {
  const step = { kind: 'pivot', name: 'pivot', policy: defaultPolicy } as const
  const asked = action(of)
  return asked.kind === 'local'
    ? { ...step, do: asked }
    : { ...step, do: asked, fence: { ...asked, command: 'never.v1' } }
}

function undoableStep(of: Where, index: number): Step<null> {
  const step = { kind: 'compensatable', name: `undoable${index}`, policy: defaultPolicy } as const
  const asked = action(of)
  return asked.kind === 'local'
    ? { ...step, do: asked, undo: asked }
    : { ...step, do: asked, undo: asked }
}

function definitionOf({ compensatable, pivot, retriable, deadlineMs }: Shape): Definition<null> {
  const last = retriable.map(
    (of, index): Step<null> => ({
      kind: 'retriable',
      name: `retriable${index}`,
      do: action(of),
      policy: defaultPolicy,
    }),
  )
  const steps = [...compensatable.map(undoableStep), ...(pivot ? [pivotStep(pivot)] : []), ...last]
  return { name: 'random', version: 1, steps, deadlineMs }
}

function gatewaysOf({ compensatable, pivot }: Shape): string[] {
  const steps = compensatable.flatMap((of, index) => (of === 'gateway' ? [`undoable${index}`] : []))
  return pivot === 'gateway' ? [...steps, 'pivot'] : steps
}

test(
  'every property holds in every world of any saga',
  () => {
    console.log(`SEED=${seed} repeats these sagas`)
    let worlds = 0
    fc.assert(
      fc.property(shape, (of) => {
        for (const network of [{ model: 'set' } as const, lossyBag]) {
          const options = { network, gatewaySteps: gatewaysOf(of), skips, worldsMax }
          const exploration = exploreSaga(definitionOf(of), options)
          worlds += exploration.worlds
          expect(exploration.violation).toBeUndefined()
        }
      }),
      { numRuns: runs, seed },
    )
    expect(worlds).toBeGreaterThan(runs)
  },
  runs * 60_000,
)
