import type { FastifyPluginCallback } from 'fastify'
import type { Health } from './health.ts'
import { renderMetrics } from './metrics.ts'

/** The routes that every service has: for the orchestrator and the monitoring, not for customers. */
export const systemRoutes: FastifyPluginCallback<{ health: Health }> = (app, { health }, done) => {
  const schema = { hide: true }

  // That it answers is the proof: the event loop turns. Dependencies are none of liveness' business,
  // a restart would not repair them.
  app.get('/health/live', { schema }, () => ({ status: 'ok' }))

  app.get('/health/ready', { schema }, (_request, reply) => {
    const readiness = health.readiness()
    return reply.code(readiness.ready ? 200 : 503).send(readiness)
  })

  app.get('/metrics', { schema }, async (_request, reply) => {
    const { contentType, body } = await renderMetrics()
    return reply.type(contentType).send(body)
  })

  done()
}
