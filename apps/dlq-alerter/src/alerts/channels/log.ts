import type { Logger } from '@edp/runtime'
import type { Severity } from '../alert.ts'
import type { Channel } from './channel.ts'

const levels = { critical: 'error', warning: 'warn', info: 'info' } as const satisfies Record<
  Severity,
  string
>

/** The alerter's own log, which takes everything. */
export function logChannel(logger: Logger): Channel {
  return {
    name: 'log',
    async deliver(message) {
      const { kind, severity, summary, ...rest } = message
      const level = kind === 'firing' ? levels[severity] : 'info'
      logger[level]({ alert: { kind, severity, ...rest } }, `${kind}: ${summary}`)
      return { kind: 'delivered' }
    },
  }
}
