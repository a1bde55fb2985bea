import { connect, type Socket } from 'node:net'

const PROBE_TIMEOUT_MS = 2000

/** Sends `request` to a port of this machine and says whether `accept` likes the first bytes of the answer. */
function ask(
  address: { host: string; port: number },
  request: Buffer,
  accept: (answer: Buffer) => boolean,
): Promise<boolean> {
  return new Promise((settle) => {
    const socket: Socket = connect(address)
    const end = (answered: boolean) => {
      socket.destroy()
      settle(answered)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(false))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('connect', () => socket.write(request))
    socket.once('data', (answer) => end(accept(answer)))
  })
}

/** Whether anything at all listens there. */
export function listens(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const socket = connect({ host: '127.0.0.1', port })
    const end = (answered: boolean) => {
      socket.destroy()
      settle(answered)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(true))
    socket.once('error', () => end(false))
    socket.once('connect', () => end(true))
  })
}

/**
 * An ApiVersions request, version 0: size, key 18, version, correlation id 7, no client id. A broker
 * answers it only once it serves requests, and repeats the correlation id.
 */
const KAFKA_API_VERSIONS = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff])

export function kafkaAnswers(host: string, port: number): Promise<boolean> {
  return ask(
    { host, port },
    KAFKA_API_VERSIONS,
    (answer) => answer.length >= 8 && answer.readInt32BE(4) === 7,
  )
}

/** The AMQP 0-9-1 greeting; the broker answers with a method frame (1) of channel 0. */
export function rabbitmqAnswers(host: string, port: number): Promise<boolean> {
  return ask(
    { host, port },
    Buffer.from('AMQP\0\0\x09\x01', 'latin1'),
    (answer) => answer.length >= 3 && answer[0] === 1 && answer.readUInt16BE(1) === 0,
  )
}

/** While Redis loads its AOF it answers -LOADING; one that wants a password is up, too. */
export function redisAnswers(host: string, port: number): Promise<boolean> {
  return ask({ host, port }, Buffer.from('PING\r\n'), (answer) => {
    const text = answer.toString('latin1')
    return text.startsWith('+PONG') || text.startsWith('-NOAUTH')
  })
}

/**
 * A start-up message of Postgres for a user that need not exist: a server that is ready asks for a
 * password (R) or names an error other than 57P03, "the database system is starting up".
 */
export function postgresAnswers(host: string, port: number): Promise<boolean> {
  const parameters = Buffer.from('user\0postgres\0database\0postgres\0\0', 'latin1')
  const head = Buffer.alloc(8)
  head.writeInt32BE(8 + parameters.length, 0)
  head.writeInt32BE(196_608, 4)
  return ask({ host, port }, Buffer.concat([head, parameters]), (answer) => {
    const kind = String.fromCharCode(answer[0] ?? 0)
    return kind === 'R' || (kind === 'E' && !answer.includes('57P03'))
  })
}
