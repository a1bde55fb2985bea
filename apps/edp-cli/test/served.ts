import { createHealth, createLogger } from '@edp/runtime'
import { createHttpServer, type HttpApp } from '@edp/runtime/http'

/** One request that a server got. */
export interface Asked {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: unknown
}

/** A running server with what it was asked, the last one last. */
export interface Served extends AsyncDisposable {
  readonly url: string
  readonly asked: readonly Asked[]
}

/** A server of the same kind as the services', with routes of the test: refusals look as theirs do. */
export async function serve(addRoutes: (app: HttpApp) => void): Promise<Served> {
  const logger = createLogger('served', 'silent')
  const health = createHealth()
  const server = await createHttpServer({
    name: 'served',
    logger,
    health,
    host: '127.0.0.1',
    port: 0,
    drainTimeoutMs: 0,
  })
  const asked: Asked[] = []
  server.app.addHook('preHandler', (request, _reply, done) => {
    const { method, url, headers, body } = request
    asked.push({ method, url, headers, body })
    done()
  })
  addRoutes(server.app)
  await server.component.start()
  health.markStarted()
  return { url: server.url(), asked, [Symbol.asyncDispose]: () => server.component.stop() }
}
