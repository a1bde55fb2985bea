import { connect, type Socket } from 'node:net'

const PROBE_TIMEOUT_MS = 2000

/** What to make of the answer so far; 'more' waits for the rest of it. */
type Verdict = boolean | 'more'

/** Sends `request` and says whether `judge` likes the answer. Silence and errors are a no. */
function ask(
  address: { host: string; port: number },
  request: Buffer,
  judge: (answer: Buffer) => Verdict,
): Promise<boolean> {
  return new Promise((settle) => {
    const socket: Socket = connect(address)
    let answer = Buffer.alloc(0)
    const end = (answered: boolean) => {
      socket.destroy()
      settle(answered)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => end(false))
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      const verdict = judge(answer)
      if (verdict !== 'more') end(verdict)
    })
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
  return ask({ host, port }, KAFKA_API_VERSIONS, (answer) =>
    answer.length < 8 ? 'more' : answer.readInt32BE(4) === 7,
  )
}

/** A Metadata request, version 1, for all topics (a null array). */
const KAFKA_METADATA = Buffer.from([
  0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
])

/** Whether a broker knows all of these topics: its answer holds each name behind its length. */
export function kafkaTopicsExist(
  host: string,
  port: number,
  names: readonly string[],
): Promise<boolean> {
  return ask({ host, port }, KAFKA_METADATA, (answer) => {
    if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return 'more'
    return names.every((name) => {
      const length = Buffer.alloc(2)
      length.writeUInt16BE(name.length)
      return answer.includes(Buffer.concat([length, Buffer.from(name, 'latin1')]))
    })
  })
}

/** The AMQP 0-9-1 greeting; the broker answers with a method frame (1) of channel 0. */
export function rabbitmqAnswers(host: string, port: number): Promise<boolean> {
  return ask({ host, port }, Buffer.from('AMQP\0\0\x09\x01', 'latin1'), (answer) =>
    answer.length < 3 ? 'more' : answer[0] === 1 && answer.readUInt16BE(1) === 0,
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
