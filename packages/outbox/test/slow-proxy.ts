import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A database behind a proxy that passes nothing on in the first `delayMs` of a connection, and the URL that leads through it. */
export async function slowToConnect(
  target: string,
  delayMs: number,
): Promise<{ url: string; close(): Promise<void> }> {
  const url = new URL(target)
  const { hostname, port } = url
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const [end, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(end)
      end.on('error', () => end.destroy())
      end.on('close', () => {
        sockets.delete(end)
        other.destroy()
      })
    }
    void delay(delayMs).then(() => near.pipe(far).pipe(near))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a server has a port')
  url.hostname = '127.0.0.1'
  url.port = String(address.port)
  const close = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { url: url.href, close }
}
