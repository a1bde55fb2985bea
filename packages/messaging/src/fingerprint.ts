import { createHash } from 'node:crypto'

/**
 * What letters with the same cause have in common: consumer, type, error code and the first stack frame of our own, by function and
 * file. Not by line, so that a deployment that moves the code does not make a new group of the old cause.
 */
export function fingerprintOf(cause: {
  consumer: string
  type: string | null
  code: string
  stack: string | null
}): string {
  const { consumer, type, code, stack } = cause
  const parts = [consumer, type ?? '', code, ownFrame(stack) ?? '']
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 16)
}

const frame = /^\s*at (?:(?:async )?(.*?) \()?(?:file:\/\/)?(\/[^:)]+):\d+:\d+\)?$/

/** The first frame that is in one of our packages: `decide apps/order-service/src/order.ts`. */
export function ownFrame(stack: string | null): string | undefined {
  for (const line of stack?.split('\n') ?? []) {
    const [, name = '', path = ''] = frame.exec(line) ?? []
    if (path === '' || path.includes('/node_modules/')) continue
    return `${name} ${pathInRepository(path)}`.trim()
  }
  return undefined
}

/** Without where the checkout lies, or the image. */
function pathInRepository(path: string): string {
  const at = Math.max(...['/apps/', '/packages/', '/infra/'].map((root) => path.lastIndexOf(root)))
  const inside = at < 0 ? path.slice(path.lastIndexOf('/') + 1) : path.slice(at + 1)
  // The same code, from source in development and built in an image.
  return inside.replace('/dist/', '/src/').replace(/\.[jt]s$/, '')
}
