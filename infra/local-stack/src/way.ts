import { dockerAnswers, dockerRuns } from './docker.ts'
import { nativeRuns } from './native/native.ts'
import type { Settings, Way } from './settings.ts'

/** What `stack status` says of one server. */
export type ServerState = {
  name: string
  state: 'running' | 'not answering' | 'stopped'
  detail: string
}

/**
 * Which way this command goes: what STACK says, the servers that are given, the way that already runs
 * (so that a Docker engine started later does not double the stack), Docker, native.
 */
export async function chooseWay(settings: Settings): Promise<Way> {
  if (settings.way !== undefined) return settings.way
  if (settings.external !== undefined) return 'external'
  if (nativeRuns(settings)) return 'native'
  return (await dockerAnswers()) ? 'docker' : 'native'
}

/** The local way that runs now, for the commands that only look or stop. */
export async function runningWay(settings: Settings): Promise<Way | undefined> {
  if (settings.way !== undefined) return settings.way
  if (nativeRuns(settings)) return 'native'
  if (await dockerRuns(settings)) return 'docker'
  return settings.external === undefined ? undefined : 'external'
}
