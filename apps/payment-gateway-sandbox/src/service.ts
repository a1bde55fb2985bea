import { type Component, createLifecycle, type Lifecycle, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { createGateway } from './gateway.ts'
import { routes } from './http.ts'
import { createKeyLocks } from './key-locks.ts'
import { openLedger } from './ledger.ts'

/** The sandbox: one ledger file, one HTTP server. */
export async function createService(
  config: Config,
  { logger, health }: Pick<ServiceProcess, 'logger' | 'health'>,
): Promise<Lifecycle & { url(): string }> {
  const ledger = openLedger(config.LEDGER_FILE)
  const stopping = new AbortController()
  const faults = { slowMs: config.SLOW_MS, hangMs: config.HANG_MS, stopping: stopping.signal }
  const gateway = createGateway({ ledger, locks: createKeyLocks(), faults })
  const http = await createHttpServer({
    name: 'payment-gateway-sandbox',
    description: 'Stands for the outside payment provider. Test tokens are in the README.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
    // Its silence is what it is for, and SLOW_MS and HANG_MS bound it. The timer and the AbortController that Fastify
    // makes for each request otherwise were an eighth of the CPU of a charge.
    handlerTimeoutMs: 0,
  })
  await http.app.register(routes, { gateway, ledger, faults })
  const file: Component = {
    name: 'ledger',
    start: async () => undefined,
    stop: async () => ledger.close(),
  }
  // Stopped first: whoever is kept waiting on purpose is answered, so that the server can drain.
  const waits: Component = {
    name: 'faults',
    start: async () => undefined,
    stop: async () => stopping.abort(),
  }
  const lifecycle = createLifecycle([file, http.component, waits], {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: () => http.url() }
}
