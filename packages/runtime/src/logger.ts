import { type DestinationStream, type Logger as PinoLogger, pino, stdSerializers } from 'pino'
import pretty from 'pino-pretty'

/** The logger of a process: JSON lines, levels as words, credentials hidden. */
export type Logger = PinoLogger

/** How `createLogger` may differ from JSON on stdout. */
export type LoggerOptions = {
  /** Lines for a person instead of JSON: in dev, where all services share one terminal. */
  pretty?: boolean
  /** Where the lines go; stdout unless told. */
  destination?: DestinationStream
}

const secretNames = [
  'password',
  'secret',
  'token',
  'paymentToken',
  'authorization',
  'cookie',
  'connectionString',
]

/** Makes the logger of the process (or component) `name`, for `level` and above. */
export function createLogger(name: string, level: string, options: LoggerOptions = {}): Logger {
  return pino(
    {
      name,
      level,
      base: { pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secretNames.flatMap((secret) => [secret, `*.${secret}`, `*.*.${secret}`]),
        censor: '(hidden)',
      },
      serializers: { err: serializeError, error: serializeError },
    },
    options.destination ?? (options.pretty === true ? prettyStream() : stdout()),
  )
}

// Written at once: a process that is about to exit or to be killed has said what it had to say.
function stdout(): DestinationStream {
  return pino.destination({ fd: 1, sync: true })
}

// In this process and not in a worker thread: a worker loses the last lines at exit.
function prettyStream(): DestinationStream {
  return pretty({
    colorize: process.env['NO_COLOR'] === undefined,
    ignore: 'pid,hostname,name',
    levelFirst: true,
    singleLine: true,
    sync: true,
    translateTime: 'HH:MM:ss.l',
  })
}

/** Hides the password of every URL in a text. */
export function hidePasswords(text: string): string {
  return text.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s/]*@/gi, '$1:***@')
}

function serializeError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const serialized = stdSerializers.errWithCause(error)
  return {
    ...serialized,
    message: hidePasswords(serialized.message),
    stack: hidePasswords(serialized.stack),
  }
}
