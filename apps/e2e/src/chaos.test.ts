import { expect, test } from 'vitest'
import { appNames } from './app-process.ts'
import { planFaults } from './chaos.ts'
import { countBy } from './story.ts'

test('a seed always gives the same faults, each app killed twice and each broker restarted once', () => {
  const planned = planFaults(7)
  expect(planFaults(7)).toEqual(planned)
  expect(planFaults(8)).not.toEqual(planned)
  const counts = countBy(planned, (fault) => (fault.kind === 'kill' ? fault.app : fault.server))
  const kills = Object.fromEntries(appNames.map((app) => [app, 2]))
  expect(counts).toEqual({ ...kills, kafka: 1, rabbitmq: 1 })
})
