import { setTimeout as delay } from 'node:timers/promises'
import type { z } from 'zod'
import { hasNoArguments } from './arguments.ts'
import { ConfigError, type ProcessSettings, readConfig } from './config.ts'
import { enableFaultPoints } from './fault-points.ts'
import { createHealth, type Health } from './health.ts'
import { createLogger, type Logger } from './logger.ts'
import { collectProcessMetrics } from './metrics.ts'

/** What the process edge lends to the service that runs in it. */
export type ServiceProcess = {
  logger: Logger
  health: Health
  /** Ends the process with 1, after an ordered stop: for what may not go on silently. */
  fatal: (error: unknown) => void
}

/** What a process runs. A `Lifecycle` is one. */
export type Service = { start(): Promise<void>; stop(): Promise<void> }

/** What `runMain` needs. */
export type MainOptions<C extends ProcessSettings> = {
  name: string
  config: z.ZodType<C>
  create: (config: C, process: ServiceProcess) => Service | Promise<Service>
}

// A terminal and a watcher both send SIGINT for one Ctrl-C.
const signalsAreOneWithinMs = 1000

/**
 * The whole edge of a process: `--help`, the environment, start, signals, exit code. Exits with 0
 * after an ordered stop on SIGTERM or SIGINT, with 1 on a bad environment, a failed start, a fatal
 * error, a second signal, or a stop that takes longer than `SHUTDOWN_TIMEOUT_MS`, with 2 on an argument.
 */
export async function runMain<C extends ProcessSettings>(options: MainOptions<C>): Promise<void> {
  const { name, config: schema, create } = options
  if (!hasNoArguments(name, schema)) return
  const config = configOrExit(name, schema)
  enableFaultPoints(config.FAULT_POINTS)
  const logger = createLogger(name, config.LOG_LEVEL, { pretty: config.LOG_PRETTY })
  const health = createHealth()
  collectProcessMetrics()
  const edge = createEdge({
    logger,
    health,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
    shutdownDelayMs: config.SHUTDOWN_DELAY_MS,
  })
  try {
    const service = await create(config, { logger, health, fatal: edge.fatal })
    edge.runs(service)
    await service.start()
    health.markStarted()
    if (!health.stopping) logger.info('ready')
  } catch (error) {
    edge.fatal(error)
  }
}

function configOrExit<C extends ProcessSettings>(name: string, schema: z.ZodType<C>): C {
  try {
    const config = readConfig(schema, process.env)
    if (config.SHUTDOWN_DELAY_MS < config.SHUTDOWN_TIMEOUT_MS) return config
    throw new ConfigError([
      `SHUTDOWN_DELAY_MS: expected less than SHUTDOWN_TIMEOUT_MS (${config.SHUTDOWN_TIMEOUT_MS}), within which a stop has to end, given "${config.SHUTDOWN_DELAY_MS}"`,
    ])
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`${name}: ${error.message}\n`)
    process.exit(1)
  }
}

type Edge = { runs: (service: Service) => void; fatal: (error: unknown) => void }

function createEdge(options: {
  logger: Logger
  health: Health
  shutdownTimeoutMs: number
  shutdownDelayMs: number
}): Edge {
  const { logger, health, shutdownTimeoutMs, shutdownDelayMs } = options
  let service: Service | undefined
  let exitCode = 0
  let stoppingSince: number | undefined

  // Called once. Whatever hangs in there, the timer ends the process.
  async function stop(delayMs: number): Promise<void> {
    stoppingSince = performance.now()
    health.markStopping()
    setTimeout(() => {
      logger.fatal({ shutdownTimeoutMs }, 'did not stop in time')
      process.exit(1)
    }, shutdownTimeoutMs)
    try {
      // Readiness says no by now: whoever asks it sends nothing more, and what it sent before is answered.
      await delay(delayMs)
      await service?.stop()
    } catch (error) {
      logger.error({ err: error }, 'stopped with errors')
      exitCode = 1
    }
    logger.info({ exitCode, tookMs: Math.round(performance.now() - stoppingSince) }, 'stopped')
    process.exit(exitCode)
  }

  function fatal(error: unknown): void {
    logger.fatal({ err: error }, 'fatal')
    exitCode = 1
    if (stoppingSince === undefined) void stop(0)
  }

  function onSignal(signal: NodeJS.Signals): void {
    if (stoppingSince === undefined) {
      logger.info({ signal }, 'stopping')
      void stop(shutdownDelayMs)
    } else if (performance.now() - stoppingSince >= signalsAreOneWithinMs) {
      logger.fatal({ signal }, 'second signal, exiting at once')
      process.exit(1)
    }
  }

  // What threw is unknown, so is the state it left: no ordered stop, a restart is the repair.
  function onUncaught(error: unknown): void {
    logger.fatal({ err: error }, 'uncaught')
    process.exit(1)
  }

  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  process.on('uncaughtException', onUncaught)
  process.on('unhandledRejection', onUncaught)

  return {
    runs(created) {
      service = created
    },
    fatal,
  }
}
