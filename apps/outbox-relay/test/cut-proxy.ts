import { connect, createServer, type Server, type Socket } from 'node:net'

/** A TCP proxy in front of a broker that can be cut and closed, as a network would. */
export class CutProxy {
  readonly #target: URL
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #closed = false

  private constructor(target: URL) {
    this.#target = target
    this.#server = createServer((client) => this.#serve(client))
  }

  static async to(target: string): Promise<CutProxy> {
    const proxy = new CutProxy(new URL(target))
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  /** The target's URL by way of the proxy. */
  get url(): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string')
      throw new Error('the proxy does not listen')
    const url = new URL(this.#target)
    url.hostname = '127.0.0.1'
    url.port = String(address.port)
    return url.href
  }

  /** Ends every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#sockets.clear()
  }

  /** Ends every connection and refuses new ones, until `open`. */
  close(): void {
    this.#closed = true
    this.cut()
  }

  open(): void {
    this.#closed = false
  }

  async stop(): Promise<void> {
    this.cut()
    await new Promise((resolve) => {
      this.#server.close(resolve)
    })
  }

  #serve(client: Socket): void {
    if (this.#closed) {
      client.destroy()
      return
    }
    const broker = connect(Number(this.#target.port), this.#target.hostname)
    for (const socket of [client, broker]) {
      this.#sockets.add(socket)
      // A connection that is cut is what this is for.
      socket.on('error', () => undefined)
    }
    client.pipe(broker)
    broker.pipe(client)
    client.on('close', () => broker.destroy())
    broker.on('close', () => client.destroy())
  }
}
