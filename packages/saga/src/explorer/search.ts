/** One thing that may happen next. */
export interface Move<World> {
  readonly label: string
  readonly world: World
  /** A person did it. Nothing may depend on that somebody does. */
  readonly byPerson?: boolean
}

/** A system as the search sees it: everything that can happen, and what must never be the case. */
export interface Model<World> {
  readonly initial: World
  /** The same text for two worlds exactly when nothing can tell them apart. */
  readonly encode: (world: World) => string
  readonly moves: (world: World) => Iterable<Move<World>>
  /** The property that a world violates. */
  readonly broken: (world: World) => string | undefined
  /** How a world has ended; undefined when it has not. */
  readonly ending: (world: World) => string | undefined
}

/** A property that does not hold, and a shortest way to where it does not. */
export interface Violation {
  readonly property: string
  readonly trace: readonly string[]
}

/** What came of a search. */
export interface Exploration {
  readonly worlds: number
  readonly moves: number
  readonly violation: Violation | undefined
  /** Every way in which it may end. */
  readonly endings: ReadonlySet<string>
}

/** What a world violates from which no way leads to an end unless a person helps. */
export const liveness = 'an end can be reached from everywhere'

/**
 * Visits every world breadth first, so that the first one that violates a property is a nearest one. When all are safe, goes
 * back from those that have ended: what is not reached is stuck.
 * @throws Error when there are more than `worldsMax` worlds: nothing has been proven then
 */
export function search<World>(model: Model<World>, worldsMax = 2_000_000): Exploration {
  const known = new Map<string, number>()
  const worlds: World[] = []
  const parents: number[] = []
  const labels: string[] = []
  const edges: Edges = { from: [], to: [] }
  let moves = 0

  const visit = (world: World, parent: number, label: string): number => {
    const key = model.encode(world)
    const before = known.get(key)
    if (before !== undefined) return before
    const index = worlds.length
    if (index >= worldsMax) throw new Error(`more than ${worldsMax} worlds`)
    known.set(key, index)
    worlds.push(world)
    parents.push(parent)
    labels.push(label)
    return index
  }
  const traceTo = (index: number): string[] => {
    const trace: string[] = []
    for (let at = index; at > 0; at = parents[at] ?? 0) trace.push(labels[at] ?? '')
    return trace.toReversed()
  }

  visit(model.initial, 0, '')
  const ended: number[] = []
  const endings = new Set<string>()
  for (let index = 0; index < worlds.length; index += 1) {
    const world = worlds[index]
    if (world === undefined) break
    const property = model.broken(world)
    if (property !== undefined) {
      const violation = { property, trace: traceTo(index) }
      return { worlds: worlds.length, moves, violation, endings }
    }
    const ending = model.ending(world)
    if (ending !== undefined) {
      ended.push(index)
      endings.add(ending)
    }
    for (const move of model.moves(world)) {
      moves += 1
      const next = visit(move.world, index, move.label)
      if (next === index || move.byPerson === true) continue
      edges.from.push(index)
      edges.to.push(next)
    }
  }
  const stuck = firstStuck(worlds.length, edges, ended)
  const violation = stuck === undefined ? undefined : { property: liveness, trace: traceTo(stuck) }
  return { worlds: worlds.length, moves, violation, endings }
}

interface Edges {
  readonly from: number[]
  readonly to: number[]
}

/** The nearest world from which no end can be reached. Edges are kept as lists of numbers: there are millions. */
function firstStuck(count: number, { from, to }: Edges, ended: readonly number[]) {
  const head = new Int32Array(count).fill(-1)
  const next = new Int32Array(to.length)
  for (const [edge, target] of to.entries()) {
    next[edge] = head[target] ?? -1
    head[target] = edge
  }
  const reached = new Uint8Array(count)
  const queue = [...ended]
  for (const index of queue) reached[index] = 1
  for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
    for (let edge = head[at] ?? -1; edge >= 0; edge = next[edge] ?? -1) {
      const source = from[edge] ?? 0
      if (reached[source] === 1) continue
      reached[source] = 1
      queue.push(source)
    }
  }
  const stuck = reached.indexOf(0)
  return stuck < 0 ? undefined : stuck
}
