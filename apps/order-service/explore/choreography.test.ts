import { lossyBag, parkingBag } from '@edp/saga'
import { describe, expect, test } from 'vitest'
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

describe('a wrong rule is found, on a shortest way', () => {
  test.each(plantedChoreographyBugs)('$name', ({ network, rules, violates }) => {
    const { violation } = exploreChoreography(network, rules)
    expect(violation).toMatchObject({ property: violates })
    expect(violation?.trace).toMatchSnapshot()
  })
})
