import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** A way to a server that a test can cut. */
export type Link = {
  readonly url: string
  /** Ends every connection and refuses new ones. */
  cut(): void
  /** Leaves connections open and carries nothing: a server that hangs. */
  freeze(): void
  mend(): void
  close(): Promise<void>
}

/** Opens a link to the server of a URL. */
export async function openLink(to: string): Promise<Link> {
  const target = new URL(to)
  const sockets = new Set<Socket>()
  let state: 'open' | 'cut' | 'frozen' = 'open'
  const server = createServer((near) => {
    if (state === 'cut') {
      near.destroy()
      return
    }
    const far = connect(Number(target.port), target.hostname)
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
      socket.on('data', (bytes) => other.write(bytes))
      if (state === 'frozen') socket.pause()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a link has a port')
  const url = new URL(to)
  url.host = `127.0.0.1:${address.port}`
  return {
    url: url.href,
    cut() {
      state = 'cut'
      for (const socket of sockets) socket.destroy()
    },
    freeze() {
      state = 'frozen'
      for (const socket of sockets) socket.pause()
    },
    mend() {
      state = 'open'
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
