/** A balancer for connections, like a gateway with health checks: an unhealthy relay gets none. */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface Spread {
  readonly port: number
  /** The port's relay gets no new connection, and loses those that it has. */
  takeOut(port: number): void
  putBack(port: number): void
  close(): void
}

export async function openSpread(ports: readonly number[]): Promise<Spread> {
  const out = new Set<number>()
  const sockets = new Map<Socket, number>()
  let turn = 0
  const server = createServer((near) => {
    const ready = ports.filter((port) => !out.has(port))
    const port = ready[turn++ % ready.length] ?? ports[0]!
    const far = connect(port, '127.0.0.1')
    sockets.set(near, port)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('error', () => to.resetAndDestroy())
      from.on('close', () => to.destroy())
      from.pipe(to)
    }
    near.on('close', () => sockets.delete(near))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    takeOut(port) {
      out.add(port)
      for (const [socket, target] of sockets) if (target === port) socket.resetAndDestroy()
    },
    putBack: (port) => void out.delete(port),
    close() {
      server.close()
      for (const socket of sockets.keys()) socket.destroy()
    },
  }
}
