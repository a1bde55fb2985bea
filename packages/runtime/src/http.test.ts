import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { AppError } from './errors.ts'
import { createHealth, type Health } from './health.ts'
import {
  createHttpServer,
  type HttpServer,
  problem,
  problemSchema,
  queryNumber,
  refuseRepeated,
} from './http.ts'
import { createLogger } from './logger.ts'

const open: HttpServer[] = []
let logText = ''

afterEach(async () => {
  await Promise.all(open.splice(0).map(({ component }) => component.stop()))
  logText = ''
})

const orderSchema = z.strictObject({
  customer: z.string().min(1),
  lines: z.array(z.strictObject({ sku: z.string(), quantity: z.int().min(1) })).min(1),
})

async function createServer(health: Health = createHealth()): Promise<HttpServer> {
  const destination = { write: (line: string) => void (logText += line) }
  const server = await createHttpServer({
    name: 'example',
    version: '1.2.3',
    logger: createLogger('test', 'info', { destination }),
    health,
    host: '127.0.0.1',
    port: 0,
    bodyBytesMax: 1024,
  })
  open.push(server)
  const { app } = server
  app.post(
    '/orders',
    {
      schema: {
        body: orderSchema,
        querystring: z.strictObject({ limit: queryNumber(1, 10).optional() }),
        headers: z.object({ 'idempotency-key': z.string().min(1) }),
        response: { 202: z.strictObject({ lines: z.int() }), 400: problemSchema },
      },
    },
    async (request, reply) => reply.code(202).send({ lines: request.body.lines.length }),
  )
  app.get('/once', (request) => {
    refuseRepeated(request, 'idempotency-key')
    return { key: request.headers['idempotency-key'] }
  })
  app.get('/busy', () => {
    throw problem(409, 'busy', 'Another copy is being handled.', {
      headers: { 'retry-after': '2' },
    })
  })
  app.get('/broken', () => {
    throw new Error('select from secret_table failed')
  })
  app.get('/database-away', () => {
    throw new AppError('database-away', 'connection lost', { retry: 'transient-everything' })
  })
  return server
}

const headers = { 'idempotency-key': 'k-1' }
const validOrder = { customer: 'c-1', lines: [{ sku: 'tea', quantity: 1 }] }

test('a valid request is answered', async () => {
  const { app } = await createServer()
  const answer = await app.inject({ method: 'POST', url: '/orders', headers, body: validOrder })
  expect([answer.statusCode, answer.json()]).toEqual([202, { lines: 1 }])
})

test('a body that does not fit is 400 with the path of each problem', async () => {
  const { app } = await createServer()
  const answer = await app.inject({
    method: 'POST',
    url: '/orders?limit=3',
    headers,
    body: { customer: '', lines: [{ sku: 'tea', quantity: '2', price: 1 }], coupon: 'x' },
  })
  expect(answer.statusCode).toBe(400)
  expect(answer.headers['content-type']).toContain('application/problem+json')
  const body = problemSchema.parse(answer.json())
  expect(body).toMatchObject({
    type: 'urn:problem:invalid-request',
    title: 'Bad Request',
    status: 400,
    instance: '/orders',
  })
  expect(body.errors?.map(({ path }) => path).toSorted()).toEqual([
    'body.coupon',
    'body.customer',
    'body.lines.0.price',
    'body.lines.0.quantity',
  ])
})

test.each([
  ['a number as text', { lines: [{ sku: 'tea', quantity: '1' }] }, 'body.lines.0.quantity'],
  ['text as a number', { customer: 7 }, 'body.customer'],
  ['one value for a list', { lines: { sku: 'tea', quantity: 1 } }, 'body.lines'],
  ['null for text', { customer: null }, 'body.customer'],
])('nothing in a body is coerced: %s', async (_what, change, path) => {
  const { app } = await createServer()
  const body = { ...validOrder, ...change }
  const answer = await app.inject({ method: 'POST', url: '/orders', headers, body })
  expect([answer.statusCode, answer.json()]).toMatchObject([400, { errors: [{ path }] }])
})

test('bad query values and missing headers are named by where they are', async () => {
  const { app } = await createServer()
  const query = { method: 'POST', url: '/orders?limit=11', headers, body: validOrder } as const
  expect((await app.inject(query)).json()).toMatchObject({ errors: [{ path: 'query.limit' }] })
  const header = { method: 'POST', url: '/orders', body: validOrder } as const
  expect((await app.inject(header)).json()).toMatchObject({
    errors: [{ path: 'headers.idempotency-key' }],
  })
})

test.each(['0', '11', '1e1', '0x10', '%2B5', '-1', '1.0', '07', '%207', '', '5&limit=6'])(
  'limit=%s is refused, with what was expected',
  async (limit) => {
    const { app } = await createServer()
    const url = `/orders?limit=${limit}`
    const answer = await app.inject({ method: 'POST', url, headers, body: validOrder })
    expect([answer.statusCode, answer.json()]).toMatchObject([
      400,
      { errors: [{ path: 'query.limit', message: 'expected a whole number from 1 to 10' }] },
    ])
  },
)

test.each([
  { keys: ['a'], status: 200, answer: { key: 'a' } },
  { keys: ['a, b'], status: 200, answer: { key: 'a, b' } },
  { keys: ['a', 'b'], status: 400, answer: { errors: [{ path: 'headers.idempotency-key' }] } },
  { keys: ['a', 'a'], status: 400, answer: { errors: [{ path: 'headers.idempotency-key' }] } },
])('a header that may come once, sent as $keys, is $status', async ({ keys, status, answer }) => {
  const server = await createServer()
  await server.component.start()
  const lines = keys.map((key) => `Idempotency-Key: ${key}\r\n`).join('')
  const request = `GET /once HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines}\r\n`
  const [head = '', body = ''] = (await exchange(server.url(), request)).split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(JSON.parse(body)).toMatchObject(answer)
})

test('a body that is encoded is 415 with the encoding that is taken', async () => {
  const { app } = await createServer()
  const send = (encoding: string, body: Buffer) =>
    app.inject({
      method: 'POST',
      url: '/orders',
      headers: {
        ...headers,
        'content-type': 'application/json',
        'content-encoding': encoding,
      },
      body,
    })
  const json = Buffer.from(JSON.stringify(validOrder))
  const refused = await send('gzip', gzipSync(json))
  expect([refused.statusCode, refused.headers['accept-encoding']]).toEqual([415, 'identity'])
  expect(problemSchema.parse(refused.json()).detail).toContain('must not be encoded')
  expect((await send('Identity', json)).statusCode).toBe(202)
})

test.each([
  {
    what: 'malformed JSON',
    type: 'application/json',
    body: '{"lines":',
    status: 400,
    says: 'not valid JSON',
  },
  {
    what: 'JSON with a prototype in it',
    type: 'application/json',
    body: '{"lines":[{"__proto__":{"admin":true}}]}',
    status: 400,
    says: 'no key __proto__',
  },
  {
    what: 'JSON with the prototype of a constructor in it',
    type: 'application/json',
    body: '{"constructor":{"prototype":{"admin":true}}}',
    status: 400,
    says: 'no key constructor',
  },
  {
    what: 'not in UTF-8',
    type: 'application/json; charset=iso-8859-1',
    body: Buffer.from('{"customer":"J\u00e9r\u00f4me"}', 'latin1'),
    status: 400,
    says: 'UTF-8',
  },
  { what: 'no JSON at all', type: 'text/html', body: '<p>', status: 415, says: 'application/json' },
  {
    what: 'plain text',
    type: 'text/plain',
    body: '{"lines":[]}',
    status: 415,
    says: 'application/json',
  },
  {
    what: 'too large',
    type: 'application/json',
    body: `"${'x'.repeat(2048)}"`,
    status: 413,
    says: 'too large',
  },
])(
  'a body that is $what is a problem with status $status',
  async ({ type, body, status, says }) => {
    const { app } = await createServer()
    const answer = await app.inject({
      method: 'POST',
      url: '/orders',
      headers: { ...headers, 'content-type': type },
      body,
    })
    expect(answer.headers['content-type']).toContain('application/problem+json')
    const detail: unknown = expect.stringContaining(says)
    expect([answer.statusCode, answer.json()]).toMatchObject([status, { status, detail }])
  },
)

test.each([
  { what: 'no HTTP', bytes: 'HELLO\r\n\r\n', status: 400 },
  {
    what: 'all headers',
    bytes: `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
    status: 431,
  },
])('bytes that are $what are a problem with status $status', async ({ bytes, status }) => {
  const server = await createServer()
  await server.component.start()
  const answer = await exchange(server.url(), bytes)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
  expect(head).toContain('content-type: application/problem+json')
  expect(problemSchema.parse(JSON.parse(body))).toMatchObject({ status })
})

test('an unknown route is a problem with 404, a broken URL one with 400', async () => {
  const { app } = await createServer()
  const missing = await app.inject('/nowhere?secret=1')
  expect([missing.statusCode, missing.json()]).toMatchObject([404, { instance: '/nowhere' }])
  const broken = await app.inject('/%zz')
  expect([broken.statusCode, broken.json()]).toMatchObject([400, { status: 400 }])
})

test('a problem that a route throws is answered whole, headers included, and not logged', async () => {
  const { app } = await createServer()
  const answer = await app.inject('/busy')
  expect(answer.headers['retry-after']).toBe('2')
  expect(answer.json()).toEqual({
    type: 'urn:problem:busy',
    title: 'Conflict',
    status: 409,
    detail: 'Another copy is being handled.',
    instance: '/busy',
  })
  expect(logText).toBe('')
})

test('an unexpected error is 500, logged, and shows nothing of its inside', async () => {
  const { app } = await createServer()
  const answer = await app.inject('/broken')
  expect(answer.statusCode).toBe(500)
  expect(answer.body).not.toContain('secret_table')
  expect(logText).toContain('secret_table')
})

test('an outage of everything is 503 with Retry-After', async () => {
  const { app } = await createServer()
  const answer = await app.inject('/database-away')
  expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '1'])
  expect(logText).toContain('connection lost')
})

test('live answers always, ready only between start and stop', async () => {
  const health = createHealth()
  const { app } = await createServer(health)
  const statuses = async (): Promise<number[]> => [
    (await app.inject('/health/live')).statusCode,
    (await app.inject('/health/ready')).statusCode,
  ]
  expect(await statuses()).toEqual([200, 503])
  health.markStarted()
  expect(await statuses()).toEqual([200, 200])
  health.markStopping()
  expect(await statuses()).toEqual([200, 503])
})

test('the OpenAPI 3.1 document has the routes with their strict schemas, and a page shows it', async () => {
  const { app } = await createServer()
  const document: unknown = (await app.inject('/docs/json')).json()
  expect(document).toMatchObject({
    openapi: '3.1.0',
    info: { title: 'example', version: '1.2.3' },
    paths: {
      '/orders': {
        post: {
          requestBody: {
            content: { 'application/json': { schema: { additionalProperties: false } } },
          },
        },
      },
    },
  })
  expect((await app.inject('/docs/')).headers['content-type']).toContain('text/html')
})

test('a stop lets the request under way finish and tells its client that the connection ends', async () => {
  const server = await createServer()
  const entered = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  server.app.get('/slow', async () => {
    entered.resolve()
    await gate.promise
    return { done: true }
  })
  await server.component.start()
  const url = server.url()
  const answer = get(`${url}/slow`)
  await entered.promise
  const stopped = server.component.stop()
  gate.resolve()
  expect(await answer).toEqual({ status: 200, connection: 'close' })
  await stopped
  await expect(get(url)).rejects.toThrow('ECONNREFUSED')
})

test('a stop does not wait for clients that only keep their connection open', async () => {
  const server = await createServer()
  await server.component.start()
  const idle = await fetch(`${server.url()}/health/live`)
  await idle.text()
  const startedAt = performance.now()
  await server.component.stop()
  expect(performance.now() - startedAt).toBeLessThan(5000)
})

/** Sends bytes and gives all that comes back until the server closes. */
async function exchange(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.write(bytes)
  let answer = ''
  for await (const chunk of socket) answer += String(chunk)
  return answer
}

function get(url: string): Promise<{ status: number | undefined; connection: string | undefined }> {
  const answered = Promise.withResolvers<{
    status: number | undefined
    connection: string | undefined
  }>()
  httpRequest(url, (response) => {
    response.resume()
    response.on('end', () => {
      answered.resolve({ status: response.statusCode, connection: response.headers.connection })
    })
  })
    .on('error', answered.reject)
    .end()
  return answered.promise
}
