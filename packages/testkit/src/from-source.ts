import { join } from 'node:path'
import { repositoryRoot } from './stack.ts'

/**
 * What Node is given to run TypeScript from its sources in a process of its own. It takes the types out by itself and keeps what it
 * compiled for the next process: a start of a service costs 1.1 s of CPU, and through tsx 1.8 s (measured).
 */
export const fromSource = {
  args: ['--conditions=source'],
  env: { NODE_COMPILE_CACHE: join(repositoryRoot(), 'node_modules/.cache/node-compile') },
} as const
