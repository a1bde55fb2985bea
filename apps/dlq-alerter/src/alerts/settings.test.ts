import { readConfig } from '@edp/runtime'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { alertingConfig } from './settings.ts'

test('unless told, the counts of queues are read every 30 s, and 1000 waiting or 100 failed jobs are borne', () => {
  expect(readConfig(z.object(alertingConfig), {})).toMatchObject({
    ALERT_READ_INTERVAL_MS: 30_000,
    ALERT_JOBS_WAITING_MAX: 1000,
    ALERT_JOBS_FAILED_MAX: 100,
  })
})
