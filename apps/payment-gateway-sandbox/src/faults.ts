import { sleep } from '@edp/runtime'

/** How the provider misbehaves when a test token asks for it. */
export type Faults = {
  slowMs: number
  hangMs: number
  /** Ends every wait at once: nobody is kept waiting by a process that stops. */
  stopping: AbortSignal
}

/** Waits, but not longer than the process runs, nor longer than `client` listens. */
export async function pauseUnlessStopping(
  faults: Faults,
  ms: number,
  client?: AbortSignal,
): Promise<void> {
  const signal = client ? AbortSignal.any([faults.stopping, client]) : faults.stopping
  try {
    await sleep(ms, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
