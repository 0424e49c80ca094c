/** A forward proxy as companies run them: CONNECT for https, absolute addresses for http, a user and a password. */
import { createServer, request, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Test } from 'tap'

export interface HttpProxy {
  readonly port: number
  /** `host:port` of each CONNECT, and the address of each request that it forwarded. */
  readonly seen: string[]
  /** Proxy-Authorization of each. */
  readonly authorizations: (string | undefined)[]
  /** What CONNECT is answered with; 0: nothing. */
  status: number
  /** Ends what is connected, and refuses whoever comes. */
  stop(): Promise<void>
  /** On the same port. */
  start(): Promise<void>
}

export async function startHttpProxy(t: Test): Promise<HttpProxy> {
  const sockets = new Set<Duplex>()
  const keep = (socket: Duplex) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
  }
  const note = ({ url = '', headers }: IncomingMessage) => {
    proxy.seen.push(url)
    proxy.authorizations.push(headers['proxy-authorization'])
  }
  const server = createServer((incoming, answer) => {
    note(incoming)
    const { method, headers } = incoming
    const forwarded = request(incoming.url!, { method: method!, headers }, (theirs) => {
      answer.writeHead(theirs.statusCode!, theirs.headers)
      theirs.pipe(answer)
    })
    forwarded.on('error', () => answer.destroy())
    incoming.pipe(forwarded)
  })
  server.on('connection', keep)
  server.on('connect', (incoming: IncomingMessage, near: Socket) => {
    note(incoming)
    if (proxy.status === 0) return
    if (proxy.status !== 200) {
      near.end(`HTTP/1.1 ${proxy.status} No\r\ncontent-length: 0\r\n\r\n`)
      return
    }
    const [host, port] = incoming.url!.split(':') as [string, string]
    const far = connect(Number(port), host, () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n')
      near.pipe(far).pipe(near)
    })
    keep(far)
    far.on('close', () => near.destroy())
    near.on('close', () => far.destroy())
  })
  const listen = (port: number) =>
    new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  const proxy: HttpProxy = {
    port,
    seen: [],
    authorizations: [],
    status: 200,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    start: () => listen(port),
  }
  t.teardown(() => proxy.stop())
  return proxy
}
