import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import t from 'tap'

import { ApiError, createClient } from '../../client/src/index.ts'
import type { Client, ConversionEvent } from '../../client/src/index.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'

const EVENT: ConversionEvent = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: 1_760_000_000,
  event_id: 'event-1',
  user_data: { em: ['a1'.repeat(32)] },
}

const sandbox = await createSandbox()
t.teardown(() => sandbox.close())
t.beforeEach(() => {
  sandbox.faults.clear()
  sandbox.journal.clear()
})
const client = createClient({
  baseUrl: `${sandbox.url}/`,
  accessToken: 'pina_secret-token',
  retry: { tries: 1 },
})

async function catchError(client: Client, event = EVENT): Promise<unknown> {
  return client.eventsCreate('1', { data: [event] }).then(
    () => t.fail('should be thrown'),
    (error: unknown) => error,
  )
}

await t.test('eventsCreate posts events and gives what Pinterest says', async (t) => {
  t.strictSame(await client.eventsCreate('549755885175', { data: [EVENT] }), {
    num_events_received: 1,
    num_events_processed: 1,
    events: [{ status: 'processed', error_message: '', warning_message: '' }],
  })
  t.match(sandbox.journal.calls(), [
    { adAccountId: '549755885175', isTest: false, status: 200, tokenLast4: 'oken', events: [EVENT] },
  ])
})

await t.test('test marks the call as a test', async (t) => {
  await client.eventsCreate('1', { data: [EVENT] }, { test: true })
  await client.eventsCreate('1', { data: [EVENT] }, { test: false })
  t.match(sandbox.journal.calls(), [{ isTest: true }, { isTest: false }])
})

await t.test('eventsCreateWithHttpInfo gives status, headers and what is queued too', async (t) => {
  const body = { num_events_received: 1, num_events_processed: 1, events: [] }
  const answered = { 'preference-applied': 'respond-async', 'relay-queued': '1' }
  sandbox.faults.set([{ kind: 'status', status: 202, body, headers: answered }])
  const { data, status, headers, queued } = await client.eventsCreateWithHttpInfo('1', { data: [EVENT] })
  t.strictSame([status, queued, data], [202, 1, body])
  t.equal(headers.get('preference-applied'), 'respond-async')
  sandbox.faults.clear()
  t.equal(
    (await client.eventsCreateWithHttpInfo('1', { data: [EVENT] })).queued,
    0,
    'Pinterest has no such header',
  )
})

await t.test('connections are used again, also after an error', async (t) => {
  const ports = new Set<number | undefined>()
  const server = createServer((request, response) => {
    ports.add(request.socket.remotePort)
    request.resume().on('end', () => response.writeHead(500).end('oops'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const client = createClient({
    baseUrl: `http://127.0.0.1:${port}/v5`,
    accessToken: 'x',
    retry: { tries: 1 },
  })
  for (let call = 0; call < 20; call += 1) t.match(await catchError(client), { status: 500 })
  // Node's fetch takes turns with two: one is not yet free when the next call comes.
  t.ok(ports.size <= 2, `${ports.size} connections`)
  server.closeAllConnections()
})

await t.test('other statuses are thrown as ApiError', async (t) => {
  const refused = await catchError(client, { ...EVENT, user_data: { em: 'Person@example.com' } })
  t.ok(refused instanceof ApiError)
  t.match(refused, {
    name: 'ApiError',
    status: 400,
    body: { code: 4196, message: /is not of type/ },
    retryAfterMs: undefined,
  })
  const failed = await catchError(client, { ...EVENT, user_data: { em: ['raw'] } })
  t.match(failed, {
    message: /^HTTP 422: Not all events were successfully processed\. \(event 0: .+\)$/,
    status: 422,
    body: { code: 953, details: { events: [{ status: 'failed' }] } },
  })
  const events = Array.from({ length: 8 }, (_, index) => ({
    status: index === 2 ? 'processed' : 'failed',
    error_message: index === 0 ? '' : 'em: is missing',
  }))
  const many = new ApiError(422, new Headers(), { code: 953, message: 'Not all.', details: { events } })
  t.equal(
    many.message,
    'HTTP 422: Not all. (event 0: no reason was given; event 1: em: is missing; event 3: em: is missing; event 4: em: is missing; event 5: em: is missing; and 2 more)',
  )
  sandbox.faults.set([{ kind: 'status', status: 502, body: '<h1>Bad gateway</h1>' }])
  const page = await catchError(client)
  t.match(page, { status: 502, body: undefined, message: 'HTTP 502: the answer cannot be read' })
  for (const error of [refused, failed, page]) {
    t.notMatch(JSON.stringify(error) + String(error), 'secret', 'the token is in no error')
  }
})

await t.test('Retry-After is read as seconds or as a date', async (t) => {
  const date = 'Wed, 21 Oct 2015 07:28:00 GMT'
  const rows: readonly (readonly [headers: Record<string, string>, retryAfterMs: number | undefined])[] = [
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0' }, 0],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:28:30 GMT', date }, 30_000],
    [{ 'retry-after': 'Wed, 21 Oct 2015 07:00:00 GMT', date }, 0],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '1.5' }, undefined],
    [{ 'retry-after': '-1' }, undefined],
    [{}, undefined],
  ]
  for (const [headers, retryAfterMs] of rows) {
    sandbox.faults.set([{ kind: 'status', status: 429, headers }])
    const error = await catchError(client)
    t.ok(error instanceof ApiError)
    t.equal((error as ApiError).retryAfterMs, retryAfterMs, JSON.stringify(headers))
  }
})

await t.test('a redirect is an error and not followed', async (t) => {
  sandbox.faults.set([{ kind: 'status', status: 307, headers: { location: `${sandbox.origin}/elsewhere` } }])
  t.match(await catchError(client), { status: 307 })
  t.equal(sandbox.journal.calls().length, 1)
})

await t.test('a 2xx that cannot be read is an error', async (t) => {
  for (const body of ['<h1>Welcome</h1>', [], { events: 'none' }, '']) {
    sandbox.faults.set([{ kind: 'status', status: 200, body }])
    const error = await catchError(client)
    t.match(error, { name: 'ApiError', status: 200, body: undefined })
  }
})

await t.test('without an answer, the error is that of fetch', async (t) => {
  sandbox.faults.set([{ kind: 'reset', when: 'afterBody' }])
  t.match(await catchError(client), { name: 'TypeError', cause: { code: 'ECONNRESET' } })
  sandbox.faults.set([{ kind: 'hang' }])
  const hasty = createClient({
    baseUrl: sandbox.url,
    accessToken: 'pina_x',
    timeoutMs: 50,
    retry: { tries: 1 },
  })
  t.match(await catchError(hasty), { name: 'TimeoutError' })
  sandbox.faults.set([{ kind: 'drip', chunkBytes: 1, intervalMs: 60_000 }])
  t.match(await catchError(hasty), { name: 'TimeoutError' }, 'the time is for the body as well')
})

await t.test(
  'it sends what it is given, with the preference, through the fetch that it is given',
  async (t) => {
    const seen: Request[] = []
    const client = createClient({
      baseUrl: 'http://relay.example/v5',
      accessToken: 'key',
      fetch: (input, init) => {
        seen.push(new Request(input, init))
        return Promise.resolve(Response.json({ num_events_received: 1, num_events_processed: 1, events: [] }))
      },
    })
    const raw: ConversionEvent = {
      ...EVENT,
      event_name: 'of_our_own',
      event_time: '2025-10-09T08:53:20Z',
      user_data: { em: ' Person@Example.com ', ph: [4_155_552_671, null], external_id: 42 },
      custom_data: { value: 72.39, num_items: '2', contents: [{ id: 1, item_price: 3 }] },
    }
    await client.eventsCreate('1/2', { data: [raw] }, { prefer: 'wait=2' })
    const [request] = seen
    t.equal(request?.url, 'http://relay.example/v5/ad_accounts/1%2F2/events')
    t.equal(request?.headers.get('prefer'), 'wait=2')
    t.equal(request?.headers.get('authorization'), 'Bearer key')
    t.equal(request?.headers.get('content-type'), 'application/json')
    t.strictSame(await request?.json(), { data: [raw] })
  },
)
