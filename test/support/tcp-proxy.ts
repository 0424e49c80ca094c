/** A wire between a client and a server that can be cut, held, or led to another server, by hand. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Ends what is connected, and refuses whoever comes. */
  cut(): void
  mend(): void
  /** Ends what is connected, and leads whoever comes to another server: a floating address that has moved. */
  leadTo(target: Target): void
  /**
   * Ends a connection instead of giving the server's answer to the first message that holds these bytes, of those
   * connections that have carried `after` from now on: others may send the same. The answer has these bytes, too: those to what
   * was sent before it are kept back, since a server that cannot give one does no more.
   */
  cutAnswerTo(bytes: string, after: string): void
  /** Nothing passes, in either direction, until `flow`. */
  stall(): void
  flow(): void
  close(): Promise<void>
}

export interface Target {
  readonly host: string
  readonly port: number
}

export async function startTcpProxy(first: Target): Promise<TcpProxy> {
  let target = first
  const pairs = new Set<readonly [Socket, Socket]>()
  let isCut = false
  let isStalled = false
  let trap: { readonly bytes: string; readonly after: string } | undefined

  const server = createServer((near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect(target)
    const pair = [near, far] as const
    pairs.add(pair)
    let doomedBy: string | undefined
    let setFor: object | undefined
    if (isStalled) {
      near.pause()
      far.pause()
    }
    const end = () => {
      near.destroy()
      far.destroy()
      pairs.delete(pair)
    }
    near.on('data', (chunk) => {
      if (trap !== undefined && chunk.includes(trap.after)) setFor = trap
      if (trap !== undefined && setFor === trap && chunk.includes(trap.bytes)) {
        doomedBy = trap.bytes
        trap = undefined
      }
      far.write(chunk)
    })
    far.on('data', (chunk) => {
      if (doomedBy === undefined) near.write(chunk)
      else if (chunk.includes(doomedBy)) end()
    })
    for (const socket of pair) {
      socket.on('error', end)
      socket.on('close', end)
    }
  })
  server.listen(0, '127.0.0.1').unref()
  await new Promise((resolve) => server.once('listening', resolve))
  const cutAll = () => {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
    pairs.clear()
  }

  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true
      cutAll()
    },
    mend: () => void (isCut = false),
    leadTo(next) {
      target = next
      cutAll()
    },
    cutAnswerTo: (bytes, after) => void (trap = { bytes, after }),
    stall() {
      isStalled = true
      for (const pair of pairs) for (const socket of pair) socket.pause()
    },
    flow() {
      isStalled = false
      for (const pair of pairs) for (const socket of pair) socket.resume()
    },
    async close() {
      cutAll()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
