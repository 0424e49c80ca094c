/** Traces as a collector gets them: a real receiver of OTLP over HTTP. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, TOKEN } from '../support/relay.ts'
import { startTcpProxy } from '../support/tcp-proxy.ts'

interface Span {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[]
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly status: { readonly code?: number }
}

const SERVER = 2
const CLIENT = 3
const ERROR = 2

async function openCollector(t: Test) {
  const spans: Span[] = []
  let text = ''
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      text += request.url + JSON.stringify(request.headers) + body
      const { resourceSpans } = JSON.parse(body) as {
        resourceSpans: { scopeSpans: { spans: Span[] }[] }[]
      }
      for (const { scopeSpans } of resourceSpans) for (const scope of scopeSpans) spans.push(...scope.spans)
      response.setHeader('content-type', 'application/json').end('{}')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { endpoint, spans, text: () => text }
}

const attributesOf = ({ attributes }: Span) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** OpenTelemetry's packages are CommonJS. */
const { cache } = createRequire(import.meta.url)
const loadedOfSdk = () =>
  Object.keys(cache).filter((path) => /@opentelemetry\/(sdk|exporter|core|resources)/.test(path)).length

t.test('without a collector nothing of the SDK is loaded', async (t) => {
  t.equal(loadedOfSdk(), 0)
})

/** One relay for all posts: spans are there once it has closed. */
t.test('what a collector gets of posts and calls', async (t) => {
  const { endpoint, spans, text } = await openCollector(t)
  const stand = await setUp(t)
  const pinterest = new URL(stand.sandbox.url)
  const wire = await startTcpProxy({ host: pinterest.hostname, port: Number(pinterest.port) })
  t.teardown(() => wire.close())
  pinterest.port = String(wire.port)
  await stand.restart({
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_SERVICE_NAME: 'relay-of-the-shop',
    CALLS_IN_FLIGHT: '1',
    PINTEREST_API_URL: pinterest.href,
  })
  t.ok(loadedOfSdk() > 0)
  const post = async (events: number, headers: Record<string, string> = {}) =>
    (await stand.post({ data: Array.from({ length: events }, () => rawEvent()) }, { headers })).status

  const sender = '0af7651916cd43dd8448eb211c80319c'
  t.equal(await post(2, { traceparent: `00-${sender}-b7ad6b7169203331-01` }), 200)
  for (const traceparent of ['00-00000000000000000000000000000000-0000000000000000-01', 'x'.repeat(2000)]) {
    t.equal(await post(1, { traceparent }), 200)
  }
  const notSampled = '1af7651916cd43dd8448eb211c80319c'
  t.equal(await post(1, { traceparent: `00-${notSampled}-b7ad6b7169203331-00` }), 200)
  wire.stall()
  const gathered = Array.from({ length: 6 }, () => post(1, { prefer: 'wait=30' }))
  await until(async () => (await stand.admin('GET', '/totals')).body['queued'] === 6)
  wire.flow()
  await Promise.all(gathered)
  stand.sandbox.faults.set([{ kind: 'status', status: 503, times: 1 }])
  t.equal(await post(1, { prefer: 'wait=30' }), 200)
  await stand.relay.close()
  const posts = spans.filter(({ kind }) => kind === SERVER)
  const calls = spans.filter(({ kind }) => kind === CLIENT)

  await t.test('a post, its stages and its call are one trace, under the sender', async (t) => {
    const own = spans.filter(({ traceId }) => traceId === sender)
    t.equal(own.length, 4)
    const top = own.find(({ kind }) => kind === SERVER)!
    t.match(top, {
      parentSpanId: 'b7ad6b7169203331',
      name: /^POST \/v5\/ad_accounts\/\{ad_account_id\}/,
    })
    t.match(attributesOf(top), {
      'http.response.status_code': 200,
      'pinrelay.ad_account_id': ACCOUNT,
      'pinrelay.test': false,
      'pinrelay.events': 2,
    })
    for (const name of ['prepare', 'commit']) {
      t.match(
        own.find((span) => span.name === name),
        { parentSpanId: top.spanId },
        name,
      )
    }
    const call = own.find(({ kind }) => kind === CLIENT)!
    t.match(call, { parentSpanId: top.spanId })
    t.match(attributesOf(call), { 'http.response.status_code': 200, 'pinrelay.events': 2 })
  })

  await t.test('the service is named, and nothing of a customer or a key is sent', async (t) => {
    t.match(text(), 'relay-of-the-shop')
    t.match(text(), '/v1/traces')
    const secrets = ['person@example.com', '203.0.113.7', 'Mozilla', TOKEN, stand.relayKey, '127.0.0.1:8']
    for (const secret of secrets) t.notMatch(text(), secret)
  })

  await t.test('a call of several posts hangs under one and links the others', async (t) => {
    const shared = calls.find(({ links = [] }) => links.length > 0)!
    t.ok(shared, 'posts that gathered left together')
    const known = new Set(posts.map(({ spanId }) => spanId))
    const named = [shared.parentSpanId, ...shared.links!.map(({ spanId }) => spanId)]
    t.ok(named.every((spanId) => known.has(spanId!)))
    t.equal(named.length, Number(attributesOf(shared)['pinrelay.events']))
  })

  await t.test('a failed call says so', async (t) => {
    const failed = calls.filter(({ status }) => status.code === ERROR)
    t.equal(failed.length, 1)
    t.match(attributesOf(failed[0]!), { 'error.type': '503', 'http.response.status_code': 503 })
  })

  await t.test('nonsense of a client is no context, and what is not sampled there is not here', async (t) => {
    t.equal(posts.length, 10)
    t.equal(new Set(posts.map(({ traceId }) => traceId)).size, 10)
    t.notOk(posts.some(({ traceId }) => traceId === notSampled))
    const others = posts.filter(({ traceId }) => traceId !== sender)
    for (const { parentSpanId = '' } of others) t.equal(parentSpanId, '')
  })
})

t.test('a collector that is away costs neither posts nor an orderly end, and is logged once', async (t) => {
  const endpoint = 'http://user:password@127.0.0.1:1'
  const stand = await setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
  for (let n = 0; n < 3; n++) t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
  await stand.relay.close()
  const told = stand.logLines.filter((line) => line.includes('traces'))
  t.ok(told.length <= 1)
  t.notMatch(stand.logLines.join(''), 'password')
})
