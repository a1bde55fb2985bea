import { type Component, createLifecycle, type Lifecycle, type ServiceProcess } from '@edp/runtime'
import { createHttpServer } from '@edp/runtime/http'
import type { Config } from './config.ts'
import { routes } from './http.ts'
import { openMailFile } from './mail-file.ts'
import { createSmtp, type Faults } from './smtp.ts'

/** The sandbox: one file of e-mails, one SMTP server, one HTTP server. */
export async function createService(
  config: Config,
  { logger, health }: Pick<ServiceProcess, 'logger' | 'health'>,
): Promise<Lifecycle & { url(): string }> {
  const mails = openMailFile(config.MAILS_FILE)
  const faults: Faults = { repaired: new Set(), slowMs: config.SLOW_MS }
  const { SMTP_HOST: host, SMTP_PORT: port } = config
  const smtp = createSmtp({ host, port, mails, faults, logger })
  const http = await createHttpServer({
    name: 'smtp-sandbox',
    description: 'Stands for the outside mail provider. Its faults are in the README.',
    logger,
    health,
    host: config.HTTP_HOST,
    port: config.HTTP_PORT,
  })
  await http.app.register(routes, { mails, faults })
  const file: Component = {
    name: 'mails',
    start: async () => undefined,
    stop: async () => mails.close(),
  }
  const lifecycle = createLifecycle([file, smtp, http.component], {
    logger,
    shutdownTimeoutMs: config.SHUTDOWN_TIMEOUT_MS,
  })
  return { ...lifecycle, url: () => http.url() }
}
