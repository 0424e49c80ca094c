/** A relay's place behind the real gateway, taken by a server that can do what a relay must never do. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import { startGateway, type Gateway } from '../support/gateway.ts'

export const RELAY_KEEP_ALIVE_S = 75

export interface StandIn {
  readonly gateway: Gateway
  readonly relay: Server
  /** The URLs that got through, in order. */
  readonly seen: readonly string[]
}

type Handle = (incoming: IncomingMessage, answer: ServerResponse) => unknown

export async function standBehindGateway(t: Test, handle: Handle): Promise<StandIn> {
  const seen: string[] = []
  const relay = await listen(t, (incoming, answer) => {
    seen.push(incoming.url ?? '')
    return handle(incoming, answer)
  })
  const gateway = await startGateway((relay.address() as AddressInfo).port)
  t.teardown(gateway.close)
  return { gateway, relay, seen }
}

export async function listen(t: Test, handle: Handle, port = 0): Promise<Server> {
  const server = createServer({ keepAliveTimeout: RELAY_KEEP_ALIVE_S * 1_000 }, (incoming, answer) => {
    answer.setHeader('content-type', 'application/json')
    void handle(incoming, answer)
  }).listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}
