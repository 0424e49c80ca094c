/** A port of 127.0.0.1 that nobody listens on, for programs that do not choose one themselves. Another may take it first. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
