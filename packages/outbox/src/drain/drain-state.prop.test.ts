import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SimulatedDrain } from '../../test/simulation/simulated-drain.ts'
import { destinations, halts, SimulatedOutbox } from '../../test/simulation/simulated-outbox.ts'
import type { FetchedRow } from './window.ts'

// A drain against a simulated Postgres and broker, in which everything that may happen in any order does: transactions that
// draw ids early and commit late, roll back or live long, fetches, deletes and moves that are executed at one moment and answered
// at another, sends that fail with the messages there or not, destinations that are paused, rows that no broker takes, and
// operators who put those back or give them up.

// A run is long, and the machine may be busy.
const runs = 300
const timeoutMs = 60_000
const nothingFails = () => false
const keys = ['a', 'b', 'c', 'd']

interface World {
  readonly outbox: SimulatedOutbox
  readonly drain: SimulatedDrain
}

type Step = (world: World, pick: number) => void

const begin: Step = ({ outbox }, pick) => outbox.begin(keys[pick % keys.length] ?? 'a')
const drawing =
  (isPoison: boolean): Step =>
  ({ outbox }, pick) => {
    const tx = outbox.running[pick % outbox.running.length]
    if (tx) outbox.draw(tx, destinations[(pick >> 4) % 2] ?? 'orders', isPoison)
  }
const draw = drawing(false)
const end: Step = ({ outbox }, pick) => {
  const tx = outbox.running[pick % outbox.running.length]
  if (tx) outbox.end(tx, (pick >> 4) % 5 === 0 ? 'rollback' : 'commit')
}
const fetch: Step = (world, pick) => {
  world.drain.sendFetch()
  if (pick % 4 > 0) world.drain.executeFetch()
  if (pick % 4 > 2) world.drain.returnFetch()
}

/** Everything that may happen next, the frequent several times. `pick` chooses among what there is. */
const steps: readonly Step[] = [
  begin,
  begin,
  draw,
  draw,
  draw,
  end,
  end,
  ({ outbox }, pick) => outbox.skipIds(pick % 3),
  fetch,
  fetch,
  ({ drain }) => drain.executeFetch(),
  ({ drain }) => drain.returnFetch(),
  ({ drain }) => drain.returnFetch(),
  ({ drain }) => drain.startSend(),
  ({ drain }) => drain.startSend(),
  ({ drain }) => drain.endSend(nothingFails, false),
  ({ drain }) => drain.endSend(nothingFails, false),
  ({ drain }) => drain.executeDelete(),
  ({ drain }) => drain.returnDelete(),
  ({ drain }) => drain.closeGaps(),
  // Reading again, for whatever reason, publishes nothing twice.
  ({ drain }, pick) => drain.state.rewind(Math.max(1, drain.state.position.cursor - (pick % 9))),
]

const failures: readonly Step[] = [
  // A destination, everything, or single rows, whose key then waits.
  ({ drain }, pick) =>
    drain.endSend((row) => row.destination === destinations[pick % 2], pick % 3 === 0),
  ({ drain }, pick) => drain.endSend(() => true, pick % 3 === 0),
  // A publisher sends nothing of a key behind the row of it that failed.
  ({ drain }, pick) =>
    drain.endSend((row, index) => row.key === keys[pick % 4] && index >= pick % 3, false),
  ({ drain }, pick) => drain.tryPaused(pick % 2 === 0),
]

const settleOne =
  (verb: 'put back' | 'discard'): Step =>
  ({ outbox }, pick) => {
    const dead = outbox.deadIds()
    const id = dead[pick % dead.length]
    if (id !== undefined) outbox.settle(id, verb)
  }

const deaths: readonly Step[] = [
  drawing(true),
  ({ drain }) => drain.startHold(),
  ({ drain }) => drain.executeMove(),
  ({ drain }) => drain.executeMove(),
  ({ drain }) => drain.returnMove(),
  ({ drain }) => drain.returnMove(),
  settleOne('put back'),
  settleOne('discard'),
  ({ drain }) => drain.renewLease(),
  ({ drain }) => drain.executeLoad(),
  ({ drain }) => drain.returnLoad(),
]

/** Lets every transaction end and everything arrive, as soon as it was repaired. */
function settle({ outbox, drain }: World): void {
  for (const tx of outbox.running) outbox.end(tx, 'commit')
  for (let round = 0; round < 400; round += 1) {
    for (const id of outbox.deadIds()) outbox.settle(id, 'put back')
    drain.renewLease()
    drain.executeLoad()
    drain.returnLoad()
    drain.executeMove()
    drain.returnMove()
    drain.sendFetch()
    drain.executeFetch()
    drain.returnFetch()
    drain.startHold()
    drain.startSend()
    drain.endSend(nothingFails, false)
    drain.executeDelete()
    drain.returnDelete()
    drain.tryPaused(true)
  }
}

/** The first delivery of each row, by destination and key. What was put back where keys are not halted comes when it comes. */
function firstDeliveries({ outbox, drain }: World): Map<string, number[]> {
  const seen = new Set<number>()
  const isOrdered = (row: FetchedRow) => halts(row) || !outbox.repaired.has(row.id)
  const first = drain.log.filter((row) => !seen.has(row.id) && seen.add(row.id)).filter(isOrdered)
  return new Map(
    [...Map.groupBy(first, (row) => `${row.destination} ${row.key}`)].map(([key, rows]) => [
      key,
      rows.map((row) => row.id),
    ]),
  )
}

const walk = (choices: number) =>
  fc.array(fc.tuple(fc.nat({ max: choices - 1 }), fc.nat({ max: 1000 })), {
    minLength: 10,
    maxLength: 500,
    // Its default keeps arrays at about ten.
    size: 'max',
  })

function play(all: typeof steps, moves: readonly (readonly [number, number])[]): World {
  const outbox = new SimulatedOutbox()
  const world = { outbox, drain: new SimulatedDrain(outbox) }
  for (const [step, pick] of moves) {
    all[step]?.(world, pick)
    expect(world.drain.missed()).toEqual([])
  }
  settle(world)
  return world
}

function expectAllInOrder(world: World): void {
  const { outbox, drain } = world
  const delivered = new Set(drain.log.map((row) => row.id))
  expect([...delivered].toSorted((a, b) => a - b)).toEqual(
    outbox.committed
      .map((row) => row.id)
      .filter((id) => !outbox.discarded.has(id))
      .toSorted((a, b) => a - b),
  )
  expect([outbox.table.size, outbox.dead.size]).toEqual([0, 0])
  for (const ids of firstDeliveries(world).values()) {
    expect(ids).toEqual(ids.toSorted((a, b) => a - b))
  }
}

function expectOnce({ outbox, drain }: World): void {
  expect(drain.log).toHaveLength(outbox.committed.length - outbox.discarded.size)
}

test(
  'while nothing fails every committed row is published once, each key in order',
  () => {
    fc.assert(
      fc.property(walk(steps.length), (moves) => {
        const world = play(steps, moves)
        expectAllInOrder(world)
        expectOnce(world)
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)

test(
  'whatever fails, every committed row is published, each key in the order of its first delivery',
  () => {
    const all = [...steps, ...failures]
    fc.assert(
      fc.property(walk(all.length), (moves) => {
        expectAllInOrder(play(all, moves))
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)

test(
  'dead rows that are put back or given up at any moment: every other row is published once, a halted key in order',
  () => {
    const all = [...steps, ...deaths]
    fc.assert(
      fc.property(walk(all.length), (moves) => {
        const world = play(all, moves)
        expectAllInOrder(world)
        expectOnce(world)
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)

test(
  'dead rows while destinations fail: nothing is lost, and no halted key is overtaken',
  () => {
    const all = [...steps, ...failures, ...deaths]
    fc.assert(
      fc.property(walk(all.length), (moves) => {
        expectAllInOrder(play(all, moves))
      }),
      { numRuns: runs },
    )
  },
  timeoutMs,
)
