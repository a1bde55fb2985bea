import { AppError } from '@edp/runtime'
import { describe, expect, test } from 'vitest'
import { formatStep, parseStep } from './step-names.ts'

describe('the name of a step', () => {
  test('reads back', () => {
    for (const direction of ['do', 'undo', 'fence'] as const) {
      const key = { sagaId: 'saga-1', step: 'charge', direction }
      expect(parseStep(formatStep(key))).toEqual(key)
    }
    expect(formatStep(parseStep('saga-1/reserve/do'))).toBe('saga-1/reserve/do')
  })

  test.each(['', 'a/b', 'a/b/redo', '/b/do', 'a//do', 'a/b/do/c'])('%j is none', (name) => {
    expect(() => parseStep(name)).toThrow(AppError)
  })
})
