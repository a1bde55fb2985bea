import { expect, test } from 'vitest'
import { collectProcessMetrics, counter, gauge, histogram, renderMetrics } from './metrics.ts'

test('the same name is the same metric', () => {
  expect(counter('edp_seen_total', 'Seen.', ['kind'])).toBe(
    counter('edp_seen_total', 'Seen.', ['kind']),
  )
  expect(gauge('edp_depth', 'Depth.')).toBe(gauge('edp_depth', 'Depth.'))
  expect(histogram('edp_wait_seconds', 'Wait.')).toBe(histogram('edp_wait_seconds', 'Wait.'))
})

test('a name that is another kind of metric is refused', () => {
  counter('edp_kind_total', 'Kind.')
  expect(() => gauge('edp_kind_total', 'Kind.')).toThrow('edp_kind_total')
})

test('the text has our metrics and the CPU of the process, also when collected twice', async () => {
  collectProcessMetrics()
  collectProcessMetrics()
  counter('edp_rendered_total', 'Rendered.', ['kind']).inc({ kind: 'order' }, 2)
  const { body, contentType } = await renderMetrics()
  expect(contentType).toContain('text/plain')
  expect(body).toContain('edp_rendered_total{kind="order"} 2')
  expect(body).toContain('process_cpu_seconds_total')
})
