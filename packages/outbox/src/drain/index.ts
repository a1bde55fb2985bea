export { type DrainBounds, defaultBounds } from './bounds.ts'
export { createDrain, type Drain, type DrainOptions } from './drain.ts'
