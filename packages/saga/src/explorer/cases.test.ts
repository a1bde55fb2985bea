import { describe, expect, test } from 'vitest'
import {
  localPivotExample,
  lossyBag,
  type NetworkKind,
  parkingBag,
  remotePivotExample,
} from '../index.ts'
import type { Definition } from '../definition.ts'
import { realRules } from './rules.ts'
import { sagaModel } from './saga-model.ts'

// Ways through the worlds that the explorer visits, one for each case that is known to go wrong elsewhere: they can be read,
// and they show that the explorer gets there.

const set: NetworkKind = { model: 'set' }

/** The world behind a way. Every move on it must be possible. */
function follow(
  network: NetworkKind,
  labels: readonly string[],
  definition: Definition<null> = localPivotExample,
) {
  const scenario = { gatewaySteps: ['charge'], cancels: 1, skips: 1, attemptsMax: 2 }
  const model = sagaModel({ ...scenario, definition, network }, realRules)
  let world = model.initial
  for (const label of labels) {
    const moves = [...model.moves(world)]
    const move = moves.find((one) => one.label === label)
    if (!move) throw new Error(`no ${label} but ${moves.map((one) => one.label).join('; ')}`)
    world = move.world
  }
  const { saga, end, participants, skipped } = world
  const effects = participants.map(({ done, undone }) => `${done} done, ${undone} undone`)
  const at = saga && 'step' in saga ? `${saga.direction} ${saga.step}` : undefined
  const possible = [...model.moves(world)].map((move) => move.label)
  return { at, status: saga?.status, end, effects, skipped, possible }
}

const placed = 'the order is placed'
const reserved = [placed, 'receive reserve/do#1: ok', 'receive reserve/do=ok']
const charging = [...reserved, 'receive charge/do#1: begun']
const charged = [...charging, 'the gateway does charge', 'charge records ok']
const refunded = [
  'receive charge/undo#1: begun',
  'the gateway voids charge',
  'charge records its undo',
  'receive charge/undo=ok',
]
const released = [
  'receive reserve/undo#1: begun',
  'reserve commits its undo',
  'receive reserve/undo=ok',
]

describe('messages', () => {
  test('effect done, reply lost: the resend is answered with what was stored', () => {
    const { at, effects } = follow(lossyBag, [
      placed,
      'receive reserve/do#1: ok',
      'lose reserve/do=ok',
      'do reserve is sent again',
      'receive reserve/do#2: ok again',
      'receive reserve/do=ok',
    ])
    expect(at).toBe('do charge')
    expect(effects[0]).toBe('1 done, 0 undone')
  })

  test('two orchestrators and one reply: the second one finds that it was decided', () => {
    const { at } = follow(set, [...reserved, 'receive reserve/do=ok (duplicate)'])
    expect(at).toBe('do charge')
  })

  test('undo before do: the do is refused, and its reply is late', () => {
    const { end, effects } = follow(set, [
      placed,
      'cancel',
      'receive reserve/undo#1: nothing to undo',
      'receive reserve/do#1: refused again',
      'receive reserve/do=refused (late)',
      'receive reserve/undo=ok',
    ])
    expect(end).toBe('compensated')
    expect(effects[0]).toBe('0 done, 0 undone')
  })

  test('a dead letter redriven when everything has long ended changes nothing', () => {
    const { end, effects } = follow(parkingBag, [
      placed,
      'park reserve/do#1',
      'give up parked reserve/do#1: a dead letter',
      'the deadline passes',
      'receive reserve/undo#1: nothing to undo',
      'receive reserve/undo=ok',
      'redrive reserve/do#1',
      'handle parked reserve/do#1: refused again',
    ])
    expect(end).toBe('compensated')
    expect(effects[0]).toBe('0 done, 0 undone')
  })
})

describe('cancel', () => {
  test('racing confirm, and first: the charge is late and is refunded', () => {
    const { end, effects } = follow(set, [
      ...charged,
      'cancel',
      'receive charge/do=ok (late)',
      ...refunded,
      ...released,
    ])
    expect(end).toBe('compensated')
    expect(effects).toEqual(['1 done, 1 undone', '1 done, 1 undone', '0 done, 0 undone'])
  })

  test('racing confirm, and second: it is refused', () => {
    const { end, possible } = follow(set, [...charged, 'receive charge/do=ok, do confirm ok'])
    expect(end).toBe('completed')
    expect(possible).not.toContain('cancel')
  })
})

describe('money', () => {
  test('gateway time-out after charging: one refund', () => {
    const { end, effects } = follow(set, [
      ...charging,
      'the gateway does charge',
      'the deadline passes',
      ...refunded,
      ...released,
    ])
    expect(end).toBe('compensated')
    expect(effects[1]).toBe('1 done, 1 undone')
  })

  test('a request that is still on the wire when its key is voided never charges', () => {
    const { end, effects } = follow(set, [
      ...charging,
      'cancel',
      ...refunded,
      'the gateway repeats its answer to charge',
      ...released,
    ])
    expect(end).toBe('compensated')
    expect(effects[1]).toBe('0 done, 0 undone')
  })

  test('a refund that fails needs a person, nothing after it is undone, and a late ok heals it', () => {
    const failing = [
      ...charged,
      'cancel',
      'receive charge/undo#1: begun',
      'the gateway refuses to undo charge',
      'receive charge/undo=failed',
    ]
    expect(follow(set, failing)).toMatchObject({ status: 'needs_human', at: 'undo charge' })
    const healed = follow(set, [
      ...failing,
      'an operator retries',
      'the gateway voids charge',
      'charge records its undo',
      'receive charge/undo=ok',
    ])
    expect(healed).toMatchObject({ status: 'compensating', at: 'undo reserve' })
  })

  test('a skip while the undo is in flight: its late answer changes nothing', () => {
    const { end, skipped, effects } = follow(set, [
      placed,
      'receive reserve/do#1: ok',
      'cancel',
      'receive reserve/undo#1: begun',
      'an operator skips',
      'reserve commits its undo',
      'receive reserve/undo=ok (ended)',
    ])
    expect({ end, skipped }).toEqual({ end: 'compensated', skipped: ['reserve'] })
    expect(effects[0]).toBe('1 done, 1 undone')
  })
})

test('pivot done, reply lost: the fence finds out, and nothing is undone', () => {
  const way = [
    placed,
    'receive book/do#1: ok',
    'receive book/do=ok',
    'receive pay/do#1: ok',
    'lose pay/do=ok',
    'the deadline passes',
    'receive pay/fence#1: ok again',
    'receive pay/fence=ok',
  ]
  const { at, effects } = follow(lossyBag, way, remotePivotExample)
  expect(at).toBe('do tell')
  expect(effects).toEqual(['1 done, 0 undone', '1 done, 0 undone', '0 done, 0 undone'])
})
