import { setTimeout as delay } from 'node:timers/promises'
import { classify } from '@edp/runtime'

const pauseMs = 20

/**
 * Does `work` again for as long as it fails by what concerns everything, as a lane hands in a batch again: on a busy machine a lock or
 * a connection may come too late.
 * @throws whatever else it fails by
 */
export async function untilHandled(work: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await work()
      return
    } catch (error) {
      if (classify(error) !== 'transient-everything') throw error
    }
    await delay(pauseMs)
  }
}
