import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { z } from 'zod'

const payload = z.object({
  status: z.enum(['firing', 'resolved']),
  alerts: z.tuple([
    z.object({
      fingerprint: z.string(),
      labels: z.record(z.string(), z.string()),
      annotations: z.object({
        summary: z.string(),
        runbook_url: z.string(),
        undelivered: z.string().optional(),
      }),
      generatorURL: z.string(),
    }),
  ]),
})

/** One POST that arrived. */
export interface Received {
  readonly atMs: number
  /** `firing dlq-group`. */
  readonly what: string
  readonly fingerprint: string
  readonly summary: string
  readonly link: string
  readonly group: string | undefined
}

/** Answers a POST; never, when it does nothing. */
export type Answer = (response: ServerResponse, received: Received) => unknown

/** An HTTP receiver of webhooks on loopback. */
export interface Receiver {
  readonly url: string
  readonly received: Received[]
  /** `firing dlq-group`, … in the order in which they came; heartbeats left out. */
  told(): string[]
  answerWith(answer: Answer): void
  /** Nothing listens any more. */
  close(): Promise<void>
  /** Listens again, at the same address. */
  open(): Promise<void>
}

const accept: Answer = (response) => response.end()

/** Starts a receiver that accepts everything. */
export async function createReceiver(): Promise<Receiver> {
  const received: Received[] = []
  let answer = accept
  let server: Server | undefined
  let port = 0
  const open = async (): Promise<void> => {
    server = createServer((request, response) => {
      void (async () => {
        const one = readPayload(await json(request))
        received.push(one)
        answer(response, one)
      })()
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = portOf(server)
  }
  await open()
  return {
    url: `http://127.0.0.1:${port}/alerts`,
    received,
    told: () => received.map(({ what }) => what).filter((what) => !what.endsWith('heartbeat')),
    answerWith(next) {
      answer = next
    },
    async close() {
      if (server?.listening !== true) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
    open,
  }
}

/** A receiver that takes nothing, whatever it is. */
export async function refuser(
  code: number,
): Promise<{ url: string; requests(): number; close(): Promise<void> }> {
  let requests = 0
  const server = createServer((_request, response) => {
    requests += 1
    response.writeHead(code).end('no_such_channel')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${portOf(server)}/`,
    requests: () => requests,
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return address.port
}

/** Answers with a status, and with a Retry-After where it is given. */
export function status(code: number, retryAfter?: string): Answer {
  return (response) =>
    response.writeHead(code, retryAfter === undefined ? {} : { 'retry-after': retryAfter }).end()
}

/** The first answers differ; everything later is accepted. */
export function first(...answers: Answer[]): Answer {
  const left = [...answers]
  return (response, received) => (left.shift() ?? accept)(response, received)
}

function readPayload(body: unknown): Received {
  const {
    status: is,
    alerts: [alert],
  } = payload.parse(body)
  return {
    atMs: performance.now(),
    what: `${is} ${alert.labels['alertname']}`,
    fingerprint: alert.fingerprint,
    summary: alert.annotations.summary,
    link: alert.generatorURL,
    group: alert.labels['group'],
  }
}
