/** Traces as a collector gets them: a real receiver of OTLP over HTTP. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, TOKEN } from '../support/relay.ts'

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

t.test('a post, its stages and its call are one trace, under the sender', async (t) => {
  const { endpoint, spans, text } = await openCollector(t)
  const stand = await setUp(t, {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_SERVICE_NAME: 'relay-of-the-shop',
  })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const traceparent = `00-${traceId}-b7ad6b7169203331-01`
  const { status } = await stand.post({ data: [rawEvent(), rawEvent()] }, { headers: { traceparent } })
  t.equal(status, 200)
  await stand.restart()
  const post = spans.find(({ kind }) => kind === SERVER)!
  t.match(post, {
    traceId,
    parentSpanId: 'b7ad6b7169203331',
    name: /^POST \/v5\/ad_accounts\/\{ad_account_id\}/,
  })
  t.match(attributesOf(post), {
    'http.response.status_code': 200,
    'pinrelay.ad_account_id': ACCOUNT,
    'pinrelay.test': false,
    'pinrelay.events': 2,
  })
  for (const name of ['prepare', 'commit']) {
    t.match(
      spans.find((span) => span.name === name),
      { traceId, parentSpanId: post.spanId },
      name,
    )
  }
  const call = spans.find(({ kind }) => kind === CLIENT)!
  t.match(call, { traceId, parentSpanId: post.spanId })
  t.match(attributesOf(call), { 'http.response.status_code': 200, 'pinrelay.events': 2 })
  t.equal(spans.length, 4)
  t.match(text(), 'relay-of-the-shop')
  t.match(text(), '/v1/traces')
  for (const secret of [
    'person@example.com',
    '203.0.113.7',
    'Mozilla',
    TOKEN,
    stand.relayKey,
    '127.0.0.1:8',
  ]) {
    t.notMatch(text(), secret)
  }
})

t.test('a call of several posts hangs under one and links the others; a failed one says so', async (t) => {
  const { endpoint, spans } = await openCollector(t)
  const stand = await setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, CALLS_IN_FLIGHT: '1' })
  stand.sandbox.faults.set([{ kind: 'latency', delayMs: 100, times: 1 }])
  await Promise.all(Array.from({ length: 6 }, () => stand.post({ data: [rawEvent()] })))
  stand.sandbox.faults.set([{ kind: 'status', status: 503, times: 1 }])
  await stand.post({ data: [rawEvent()] }, { headers: { prefer: 'wait=5' } })
  await stand.restart()
  const posts = spans.filter(({ kind }) => kind === SERVER)
  const calls = spans.filter(({ kind }) => kind === CLIENT)
  t.equal(posts.length, 7)
  t.equal(new Set(posts.map(({ traceId }) => traceId)).size, 7)
  const shared = calls.find(({ links = [] }) => links.length > 0)!
  t.ok(shared, 'posts that gathered left together')
  const known = new Set(posts.map(({ spanId }) => spanId))
  const named = [shared.parentSpanId, ...shared.links!.map(({ spanId }) => spanId)]
  t.ok(named.every((spanId) => known.has(spanId!)))
  t.equal(named.length, Number(attributesOf(shared)['pinrelay.events']))
  const failed = calls.find(({ status }) => status.code === ERROR)!
  t.match(attributesOf(failed), { 'error.type': '503', 'http.response.status_code': 503 })
})

t.test('a collector that is away costs neither posts nor an orderly end, and is told of once', async (t) => {
  const endpoint = 'http://user:password@127.0.0.1:1'
  const stand = await setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
  for (let n = 0; n < 3; n++) t.equal((await stand.post({ data: [rawEvent()] })).status, 200)
  await stand.restart()
  const told = stand.logLines.filter((line) => line.includes('traces'))
  t.ok(told.length <= 1)
  t.notMatch(stand.logLines.join(''), 'password')
})

t.test('nonsense of a client is no context', async (t) => {
  const { endpoint, spans } = await openCollector(t)
  const stand = await setUp(t, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
  for (const traceparent of ['00-00000000000000000000000000000000-0000000000000000-01', 'x'.repeat(2000)]) {
    t.equal((await stand.post({ data: [rawEvent()] }, { headers: { traceparent } })).status, 200)
  }
  // Not sampled there: not here either.
  const off = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'
  await stand.post({ data: [rawEvent()] }, { headers: { traceparent: off } })
  await stand.restart()
  const posts = spans.filter(({ kind }) => kind === SERVER)
  t.equal(posts.length, 2)
  for (const { parentSpanId = '' } of posts) t.equal(parentSpanId, '')
})
