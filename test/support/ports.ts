/**
 * A port of 127.0.0.1 that nobody listens on, for programs that do not choose one themselves. It is below those that systems give away by
 * themselves (Linux: from 32,768, others: from 49,152), so nothing that asks for port 0 or connects takes it before it is used.
 */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

const FIRST = 10_000
const LAST = 32_767
let last = randomInt(FIRST, LAST)

/** Never the same twice, also when asked for several at once. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    last = last < LAST ? last + 1 : FIRST
    const port = last
    if (await isFree(port)) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
  server.close()
  await once(server, 'close')
  return true
}
