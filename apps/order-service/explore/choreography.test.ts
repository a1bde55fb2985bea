import { exploreSaga, lossyBag, parkingBag } from '@edp/saga'
import { describe, expect, test } from 'vitest'
import { orderFulfilment } from '../src/domain/fulfilment.ts'
import { exploreChoreography } from './choreography.ts'
import { plantedChoreographyBugs } from './planted-bugs.ts'

describe('every property holds in every world of the choreography', () => {
  test.each([
    ['a set', { model: 'set' }, 70],
    ['a bag whose messages are parked, become dead letters and are redriven', parkingBag, 500],
  ] as const)('in %s', (_name, network, worldsMin) => {
    const { violation, worlds } = exploreChoreography(network)
    expect(violation).toBeUndefined()
    expect(worlds).toBeGreaterThan(worldsMin)
  })

  test('but for its end, which takes that no event is lost: nobody sends one again', () => {
    const { violation } = exploreChoreography(lossyBag)
    expect(violation?.property).toBe('an end can be reached from everywhere')
  })
})

test('both styles, given the same outcomes, end alike', () => {
  const orchestrated = exploreSaga(orderFulfilment, {
    network: { model: 'set' },
    gatewaySteps: ['charge'],
    skips: 0,
  })
  const { endings } = exploreChoreography({ model: 'set' })
  expect([...endings].toSorted()).toEqual([
    'compensated: no reserve, no charge, no confirm',
    'compensated: reserve undone, charge undone, no confirm',
    'compensated: reserve undone, no charge, no confirm',
    'completed: reserve, charge, confirm',
  ])
  expect(orchestrated.endings).toEqual(endings)
})

describe('a wrong rule is found, on a shortest way', () => {
  test.each(plantedChoreographyBugs)('$name', ({ network, rules, violates }) => {
    const { violation } = exploreChoreography(network, rules)
    expect(violation).toMatchObject({ property: violates })
    expect(violation?.trace).toMatchSnapshot()
  })
})
