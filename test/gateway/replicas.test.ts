/** Several relays behind the real nginx: what it may try again elsewhere, and what it must not. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { gatewayMissing, startGatewayToReplicas } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { createClient } from './client.ts'

const skip = gatewayMissing()

void t.test('a relay that is away costs no post: the others take it', { skip }, async (t) => {
  const relay = await listen(t, (incoming, answer) => incoming.resume().on('end', () => answer.end('{}')))
  const gateway = await startGatewayToReplicas([await findFreePort(), relay.port])
  t.teardown(gateway.close)
  const client = createClient(t, gateway.port)
  for (let count = 0; count < 20; count += 1) t.equal((await client.post({ body: '{}' })).status, 200)
  t.equal(relay.posts(), 20)
})

void t.test('a post that one relay did not answer goes to another one, once', { skip }, async (t) => {
  const dying = () => listen(t, (incoming) => incoming.resume().on('end', () => incoming.socket.destroy()))
  const relays = [await dying(), await dying()]
  const gateway = await startGatewayToReplicas(relays.map(({ port }) => port))
  t.teardown(gateway.close)
  const { status, headers } = await createClient(t, gateway.port).post({ body: '{}' })
  t.equal(status, 503)
  t.equal(headers['retry-after'], '5')
  t.strictSame(
    relays.map(({ posts }) => posts()),
    [1, 1],
  )
})

void t.test(
  'a 503 of one relay is answered by another one, and that of all by the last',
  { skip },
  async (t) => {
    let isOneWell = true
    const refuse = (incoming: IncomingMessage, answer: ServerResponse) =>
      incoming.resume().on('end', () => answer.writeHead(503, { 'retry-after': '3' }).end('{"code":4197}'))
    const refusing = await listen(t, refuse)
    const other = await listen(t, (incoming, answer) =>
      isOneWell ? incoming.resume().on('end', () => answer.end('{}')) : refuse(incoming, answer),
    )
    const gateway = await startGatewayToReplicas([refusing.port, other.port])
    t.teardown(gateway.close)
    const client = createClient(t, gateway.port)
    for (let count = 0; count < 20; count += 1) t.equal((await client.post({ body: '{}' })).status, 200)
    isOneWell = false
    for (let count = 0; count < 10; count += 1) {
      const { status, headers, body } = await client.post({ body: '{}' })
      t.equal(status, 503)
      t.equal(headers['retry-after'], '3')
      t.match(body, { code: 4197 })
    }
    isOneWell = true
    t.equal((await client.post({ body: '{}' })).status, 200, 'no relay is left out for what it refused')
  },
)

void t.test('both relays get their share', { skip }, async (t) => {
  const answering = () => listen(t, (incoming, answer) => incoming.resume().on('end', () => answer.end('{}')))
  const relays = [await answering(), await answering()]
  const gateway = await startGatewayToReplicas(relays.map(({ port }) => port))
  t.teardown(gateway.close)
  const client = createClient(t, gateway.port)
  for (let count = 0; count < 100; count += 1) await client.post({ body: '{}' })
  for (const relay of relays) t.ok(relay.posts() >= 30, `${relay.posts()} of 100`)
})

type Handle = (incoming: IncomingMessage, answer: ServerResponse) => unknown

async function listen(t: Test, handle: Handle) {
  let posts = 0
  const server = createServer((incoming, answer) => {
    posts += 1
    answer.setHeader('content-type', 'application/json')
    handle(incoming, answer)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, posts: () => posts }
}
