import { setTimeout as delay } from 'node:timers/promises'

/** What a fault point does when a process passes it. */
type Fault = {
  action:
    | { kind: 'kill' }
    | { kind: 'throw' }
    | { kind: 'pause'; pauseMs: number }
    /** The process waits for what a test in it does. */
    | { kind: 'call'; call: () => Promise<void> }
  /** The fault happens at this pass only, counted from 1; at every pass when undefined. */
  onlyAtPass: number | undefined
  passes: number
}

/** Fault points by name. */
export type FaultPoints = Map<string, Fault>

/** Thrown by a fault point that is armed with `throw`. */
export class InjectedFault extends Error {
  override readonly name = 'InjectedFault'
}

let armed: FaultPoints | undefined

/**
 * Marks a place where a test may make this process fail. In production nothing is armed, and a call
 * is one comparison: `const fault = faultPoint('relay.after-publish'); if (fault) await fault`, or
 * simply `await faultPoint(…)` where the path is not hot.
 */
export function faultPoint(name: string): Promise<void> | undefined {
  if (armed === undefined) return undefined
  const fault = armed.get(name)
  if (fault === undefined) return undefined
  fault.passes += 1
  if (fault.onlyAtPass !== undefined && fault.onlyAtPass !== fault.passes) return undefined
  return run(name, fault.action)
}

async function run(name: string, action: Fault['action']): Promise<void> {
  switch (action.kind) {
    case 'kill':
      process.kill(process.pid, 'SIGKILL')
      // The signal may be delivered a moment later: nothing after this point may still run.
      return new Promise(() => undefined)
    case 'pause':
      return delay(action.pauseMs)
    case 'throw':
      throw new InjectedFault(`injected at ${name}`)
    case 'call':
      return action.call()
  }
}

/** Arms fault points for this process; `undefined` disarms all. */
export function enableFaultPoints(points: FaultPoints | undefined): void {
  armed = points
}

/** One fault point that calls back the test in its own process, at its first pass. */
export function callAtFirstPass(name: string, call: () => Promise<void>): FaultPoints {
  return new Map([[name, { action: { kind: 'call', call }, onlyAtPass: 1, passes: 0 }]])
}

/** The same at every pass. */
export function callAtEachPass(name: string, call: () => Promise<void>): FaultPoints {
  return new Map([[name, { action: { kind: 'call', call }, onlyAtPass: undefined, passes: 0 }]])
}

const entrySyntax = /^([a-z0-9.-]+)=(?:(kill)|(throw)|pause:(\d{1,9}))(?:@([1-9]\d{0,8}))?$/

/** Reads `name=kill;name=throw@3;name=pause:5000`; undefined when the syntax is wrong. */
export function parseFaultPoints(text: string): FaultPoints | undefined {
  const points: FaultPoints = new Map()
  for (const entry of text.split(';')) {
    const match = entrySyntax.exec(entry.trim())
    if (match === null) return undefined
    const [, name = '', kill, thrown, pauseMs = '0', pass] = match
    const action: Fault['action'] = kill
      ? { kind: 'kill' }
      : thrown
        ? { kind: 'throw' }
        : { kind: 'pause', pauseMs: Number(pauseMs) }
    const onlyAtPass = pass === undefined ? undefined : Number(pass)
    points.set(name, { action, onlyAtPass, passes: 0 })
  }
  return points
}
