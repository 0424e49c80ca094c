/**
 * What the gateway promises, held against the real nginx with compose's configuration. The relay behind it is a stand-in
 * here, which can do what a relay must never do (die halfway, answer too late); relay.test.ts has the real one.
 */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import { parse } from 'yaml'
import { SHIPPED, gatewayMissing, startGateway } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { CLIENT_ADDRESS, createClient, EVENTS, sendRaw } from './client.ts'
import { BODY_LIMIT_BYTES, keepConnections, refuseEarly, refuseLargeBodies } from './races.ts'
import { listen, RELAY_KEEP_ALIVE_S, standBehindGateway } from './stand-in.ts'

const skip = gatewayMissing()
/** `Prefer: wait=30`, the longest that the relay waits for an outcome. */
const LONGEST_WAIT_S = 30
const NOTHING_HERE = { code: 12, message: 'There is nothing at this address.' }

void t.test('the relay learns the address of the client, not what the client claims', { skip }, async (t) => {
  // TRUST_PROXY as compose sets it: the gateway's address and no other.
  const relay = Fastify({ trustProxy: ['127.0.0.1/32'] })
  relay.post('/v5/*', ({ ip, protocol, host, headers }) => ({ ip, protocol, host, headers }))
  await relay.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => relay.close())
  const gateway = await startGateway((relay.server.address() as AddressInfo).port)
  t.teardown(gateway.close)

  const headers = {
    host: 'shop.example',
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
    forwarded: 'for=203.0.113.9',
  }
  const { body } = await createClient(t, gateway.port).post({ headers, body: '{}' })
  t.match(body, {
    ip: CLIENT_ADDRESS,
    protocol: 'http',
    host: 'shop.example',
    headers: { 'x-forwarded-for': CLIENT_ADDRESS, forwarded: undefined },
  })
})

void t.test('a body of 8 MiB passes', { skip }, async (t) => {
  const { gateway } = await standBehindGateway(t, async (incoming, answer) => {
    answer.end(JSON.stringify({ bytes: (await text(incoming)).length }))
  })
  const { status, body } = await createClient(t, gateway.port).post({ body: 'x'.repeat(BODY_LIMIT_BYTES) })
  t.equal(status, 200)
  t.same(body, { bytes: BODY_LIMIT_BYTES })
})

void t.test('a larger body always gets its 413, never a reset', { skip }, (t) => refuseLargeBodies(t, 2))

void t.test('an early refusal reaches a client that is still sending', { skip }, (t) => refuseEarly(t, 4))

void t.test('keep-alive connections serve many posts without a reset', { skip }, (t) =>
  keepConnections(t, 200),
)

void t.test('whoever sends gives up an idle connection first', async (t) => {
  const readTimeouts = async (name: string) =>
    /^\s*keepalive_timeout (\d+)s(?: (\d+)s)?;/m.exec(await readFile(SHIPPED + name, 'utf8'))
  const [toRelay, toClient] = [await readTimeouts('keepalive.conf'), await readTimeouts('nginx.conf')]
  t.ok(Number(toRelay?.[1]) < RELAY_KEEP_ALIVE_S, 'the gateway before the relay')
  t.ok(Number(toClient?.[2]) < Number(toClient?.[1]), 'the client, which is told, before the gateway')
})

void t.test('an answer that takes as long as the relay may wait is not cut', { skip }, async (t) => {
  const configuration = await readFile(`${SHIPPED}nginx.conf`, 'utf8')
  const readTimeoutS = Number(/proxy_read_timeout (\d+)s/.exec(configuration)?.[1])
  t.ok(readTimeoutS >= LONGEST_WAIT_S + 5, `proxy_read_timeout is ${readTimeoutS} s`)

  const { gateway } = await standBehindGateway(t, async (incoming, answer) => {
    incoming.resume()
    // Longer than the gateway gives a relay to take the connection.
    await delay(4_000)
    answer.writeHead(202).end('{}')
  })
  const { status } = await createClient(t, gateway.port).post({ headers: { prefer: 'wait=30' }, body: '{}' })
  t.equal(status, 202)
})

void t.test('one relay that did not answer a post is not sent it again', { skip }, async (t) => {
  const { gateway, seen } = await standBehindGateway(t, (incoming) => {
    incoming.resume().on('end', () => incoming.socket.destroy())
  })
  const { status, headers, body } = await createClient(t, gateway.port).post({ body: '{}' })
  t.equal(status, 503)
  t.equal(headers['retry-after'], '5')
  t.match(body, { code: 4197, message: /event_id/ })
  t.same(seen, [EVENTS])
})

void t.test('without a relay the answer is 503 with Retry-After, until it is back', { skip }, async (t) => {
  const port = await findFreePort()
  const gateway = await startGateway(port)
  t.teardown(gateway.close)
  const client = createClient(t, gateway.port)
  const down = await client.post({ body: '{}' })
  t.equal(down.status, 503)
  t.equal(down.headers['retry-after'], '5')
  t.equal(down.headers['content-type'], 'application/json')
  t.match(down.body, { code: 4197, message: String })

  await listen(t, (_, answer) => answer.end('{}'), port)
  t.equal((await client.post({ body: '{}' })).status, 200)
})

void t.test("the relay's own answers pass as they are", { skip }, async (t) => {
  const { gateway } = await standBehindGateway(t, (incoming, answer) => {
    incoming.resume()
    answer.writeHead(Number(incoming.headers['x-status']), { 'retry-after': '17' })
    answer.end('{"code":1,"message":"from the relay"}')
  })
  const client = createClient(t, gateway.port)
  for (const expected of [400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 502, 503, 504]) {
    const { status, headers, body } = await client.post({
      headers: { 'x-status': String(expected) },
      body: '{}',
    })
    t.equal(status, expected)
    t.equal(headers['retry-after'], '17')
    t.same(body, { code: 1, message: 'from the relay' })
  }
})

void t.test('webhooks of shops get to the relay', { skip }, async (t) => {
  const { gateway } = await standBehindGateway(t, (_, answer) => answer.end('{"relay":true}'))
  const head = ['GET /sources/my-shop HTTP/1.1', 'Host: shop.example']
  t.match((await sendRaw(gateway.port, head)).body, { relay: true })
})

void t.test(
  'nothing but posts and webhooks gets to the relay, however the path is written',
  { skip },
  async (t) => {
    const { gateway, seen } = await standBehindGateway(t, (_, answer) => answer.end('{"relay":true}'))
    const paths = [
      '/',
      '/livez',
      '/readyz',
      '/metrics',
      '/accounts',
      '//accounts',
      '/V5/ad_accounts/1/events',
      '/v5',
      '/sources',
      '/sources/',
      '/sources/a/b',
      '/sources/../accounts',
      '/sources/%2e%2e/accounts',
      '/sources/..%2faccounts',
      '/v5/../accounts',
      '/v5/%2e%2e/accounts',
      '/v5/..%2faccounts',
      '/v5/./../accounts',
      '/v5//../../accounts',
      '/v5/x/%2e%2e/%2E./accounts',
      '/-/invalid',
    ]
    for (const path of paths) {
      for (const host of ['shop.example', '127.0.0.1:8081', 'relay:8081']) {
        const { statusLine, body } = await sendRaw(gateway.port, [`GET ${path} HTTP/1.1`, `Host: ${host}`])
        t.match(statusLine, /^HTTP\/1\.1 (404|400) /, `${path} of ${host}`)
        t.match(body, { code: /^(12|4196)$/, message: String })
      }
    }
    const absolute = ['GET http://relay:8081/accounts HTTP/1.1', 'Host: relay:8081']
    t.same((await sendRaw(gateway.port, absolute)).body, NOTHING_HERE)
    t.same(seen, [])
  },
)

void t.test('what is no HTTP gets a 400 in the form of Pinterest', { skip }, async (t) => {
  const { gateway, seen } = await standBehindGateway(t, (_, answer) => answer.end('{}'))
  const post = `POST ${EVENTS} HTTP/1.1`
  const host = 'Host: shop.example'
  const requests = [
    [post],
    [post, host, 'Content-Length: many'],
    [post, host, 'Transfer-Encoding: xchunked'],
    [post, host, 'Transfer-Encoding: gzip, chunked'],
    [post, host, 'Transfer-Encoding: chunked, chunked'],
    [post, host, 'Transfer-Encoding: chunked', 'Content-Length: 2'],
    [`POST ${EVENTS} HTTP/3.0`, host],
    [post, host, `X-Long: ${'x'.repeat(40_000)}`],
    [`POST ${EVENTS}?${'x'.repeat(40_000)} HTTP/1.1`, host],
    ['nonsense'],
  ]
  for (const lines of requests) {
    const { statusLine, body } = await sendRaw(gateway.port, lines)
    t.match(statusLine, 'HTTP/1.1 400', lines.join(', '))
    t.match(body, { code: 4196, message: String })
  }
  t.same(seen, [], 'and never gets to the relay')
})

void t.test('the log names no address, no query, no key and no body', { skip }, async (t) => {
  const { gateway } = await standBehindGateway(t, (incoming, answer) => {
    incoming.resume()
    answer.end('{}')
  })
  await createClient(t, gateway.port).post({
    path: `${EVENTS}?test=secret-query`,
    headers: { authorization: 'Bearer secret-key' },
    body: '{"data":["secret-body"]}',
  })
  await gateway.close()
  const [line = ''] = gateway.log().split('\n')
  t.match(JSON.parse(line), { path: EVENTS, status: 200, cell: 'relay', relay_status: '200' })
  t.notMatch(line, /secret|bearer/i)
  t.notMatch(line, CLIENT_ADDRESS)
})

void t.test('compose starts what is tested here, and keeps the admin port from the gateway', async (t) => {
  const compose = await readFile(new URL('../../docker-compose.yml', import.meta.url), 'utf8')
  const { services, networks } = parse(compose, { merge: true }) as Compose
  const { gateway, relay } = services
  t.ok(gateway.volumes.includes('./deploy/gateway:/etc/gateway:ro'))
  t.ok(gateway.entrypoint?.includes('/etc/gateway/nginx.conf'))
  t.equal(relay.environment?.['TRUST_PROXY'], `${gateway.networks.inside?.ipv4_address}/32`)
  t.equal(relay.environment?.['ADMIN_HOST'], relay.networks.outside?.ipv4_address)
  t.notOk(Object.hasOwn(gateway.networks, 'outside'), 'where the admin port is bound')
  t.equal(networks.inside?.internal, true)
  for (const port of relay.ports) t.match(port, /^127\.0\.0\.1:/)
  for (const service of [gateway, relay]) {
    t.match(service, { read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
  }
})

interface Service {
  readonly volumes: readonly string[]
  readonly ports: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly networks: Readonly<Record<string, { readonly ipv4_address?: string }>>
}

interface Compose {
  readonly services: { readonly gateway: Service; readonly relay: Service }
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
}
