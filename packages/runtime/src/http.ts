import { isUtf8 } from 'node:buffer'
import { setTimeout as delay } from 'node:timers/promises'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import {
  fastify,
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type RawReplyDefaultExpression,
  type RawRequestDefaultExpression,
  type RawServerDefault,
} from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import type { Health } from './health.ts'
import {
  answerBrokenRequest,
  answerError,
  answerNotFound,
  type Problem,
  problem,
} from './http-problems.ts'
import { systemRoutes } from './http-system-routes.ts'
import type { Component } from './lifecycle.ts'
import type { Logger } from './logger.ts'

export {
  Problem,
  type ProblemExtra,
  problem,
  problemSchema,
  refuseRepeated,
} from './http-problems.ts'
export { queryNumber } from './http-query.ts'

/** A Fastify instance whose route schemas are zod schemas. */
export type HttpApp = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  Logger,
  ZodTypeProvider
>

/** What `createHttpServer` needs, and its bounds. */
export type HttpServerOptions = {
  /** The title of the OpenAPI document. */
  name: string
  version?: string
  description?: string
  logger: Logger
  health: Health
  host: string
  /** 0 lets the operating system choose. */
  port: number
  bodyBytesMax?: number
  /** How long a client may take to send a request. */
  requestTimeoutMs?: number
  /** How long a route may take to answer it; 503 after that. 0 is for routes that bound themselves: no timer. */
  handlerTimeoutMs?: number
  /** How long a stop waits for clients to leave by themselves, each told so in its last answer. */
  drainTimeoutMs?: number
}

/** An HTTP server: routes are added to `app`, `component` is started and stopped. */
export type HttpServer = {
  app: HttpApp
  component: Component
  /** `http://host:port`, with the port that was chosen. Only while it listens. */
  url: () => string
}

/**
 * An HTTP server with zod schemas (nothing coerced, unknown fields refused), problem+json errors,
 * `/health/live`, `/health/ready`, `/metrics`, and its OpenAPI document at `/docs`.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { name, health, host, port } = options
  const app = createApp(options)
  let draining = false

  acceptJsonOnly(app)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(answerNotFound)
  app.addHook('onSend', (_request, reply, payload, done) => {
    if (draining) reply.header('connection', 'close')
    done(null, payload)
  })
  await addDocs(app, options)
  app.register(systemRoutes, { health })

  // A keep-alive connection that is closed while its next request is on the way fails that request.
  // So the server first answers with `connection: close` until the busy clients are gone.
  async function drain(): Promise<void> {
    draining = true
    const deadline = performance.now() + (options.drainTimeoutMs ?? 250)
    while (performance.now() < deadline && (await openConnections(app)) > 0) await delay(10)
  }

  return {
    app,
    url: () => urlOf(app),
    component: {
      name: 'http',
      async start() {
        await app.listen({ host, port, listenTextResolver: (url) => `${name} listens at ${url}` })
      },
      async stop() {
        if (app.server.listening) await drain()
        await app.close()
      },
    },
  }
}

function createApp(options: HttpServerOptions): HttpApp {
  const handlerTimeoutMs = options.handlerTimeoutMs ?? 15_000
  // Two lines a request, and a logger of its own for them, cost more than most requests: only where
  // someone looks for them.
  const logsRequests = options.logger.isLevelEnabled('debug')
  return fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: !logsRequests }),
    ...(!logsRequests && { childLoggerFactory: (logger: FastifyBaseLogger) => logger }),
    bodyLimit: options.bodyBytesMax ?? 256 * 1024,
    requestTimeout: options.requestTimeoutMs ?? 10_000,
    handlerTimeout: handlerTimeoutMs,
    // Bounds silent sockets, so it must be longer than a handler that is silent while it works.
    connectionTimeout: (handlerTimeoutMs || 15_000) * 2,
    // Longer than the 60 s of the usual load balancer, which must be the one to close.
    keepAliveTimeout: 72_000,
    // Node closes idle connections at close; those with a request under way finish it.
    forceCloseConnections: 'idle',
    // Until it is closed it answers: a 503 in a rolling restart would be our fault.
    return503OnClosing: false,
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenRequest,
  }).withTypeProvider<ZodTypeProvider>()
}

/** A body is JSON in UTF-8, sent as it is, and nothing else. */
function acceptJsonOnly(app: HttpApp): void {
  // With Fastify's parser for text it would be a string that does not fit, and not the 415 that it is.
  app.removeContentTypeParser(['text/plain', 'application/json'])
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      const coding = request.headers['content-encoding'] ?? 'identity'
      if (coding.toLowerCase() !== 'identity') return done(encodedBody(coding))
      // Decoded all the same, each broken character would be another one than was sent: customers would become one.
      if (!isUtf8(body)) return done(invalidUtf8)
      const text = body.toString('utf8')
      void parse(request, text, (error, value) => {
        // Of such a key Fastify's parser says that the body is not valid JSON.
        done(error && isJson(text) ? forbiddenKey : error, value)
      })
    },
  )
}

const invalidUtf8 = problem(400, 'invalid-json-body', 'The body is not valid UTF-8.')
const forbiddenKey = problem(
  400,
  'forbidden-key',
  'A body may have no key __proto__, and no key constructor with a key prototype in it.',
)

function encodedBody(coding: string): Problem {
  const detail = `A body must not be encoded: expected no Content-Encoding, or identity, found ${coding}.`
  return problem(415, 'encoded-body', detail, { headers: { 'accept-encoding': 'identity' } })
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

async function addDocs(app: HttpApp, options: HttpServerOptions): Promise<void> {
  const { name, version = '0.1.0', description = '' } = options
  await app.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: name, version, description } },
    transform: jsonSchemaTransform,
  })
  await app.register(swaggerUi, { routePrefix: '/docs' })
}

function openConnections(app: HttpApp): Promise<number> {
  const counted = Promise.withResolvers<number>()
  app.server.getConnections((error, count) => {
    if (error) counted.reject(error)
    else counted.resolve(count)
  })
  return counted.promise
}

function urlOf(app: HttpApp): string {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen')
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}
