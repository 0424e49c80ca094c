import { createServer, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { ApiError, createClient, type ClientOptions, type ConversionEvent } from '../../client/src/index.ts'
import { planRetry } from '../../client/src/retry.ts'

const OPTIONS = { tries: 5, patienceMs: 60_000 }
const FAILURE = { status: 503, retryAfterMs: undefined, tried: 1, elapsedMs: 0, random: 1 }

t.test('pauses grow, by chance up to a bound, and never below what was asked for', async (t) => {
  const delays = [1, 2, 3, 4].map((tried) => planRetry({ ...FAILURE, tried }, OPTIONS))
  t.same(delays, [500, 1000, 2000, 4000])
  t.equal(planRetry({ ...FAILURE, random: 0 }, OPTIONS), 0)
  t.equal(planRetry({ ...FAILURE, tried: 12 }, { tries: 20, patienceMs: 60_000 }), 30_000)
  t.equal(planRetry({ ...FAILURE, retryAfterMs: 7000 }, OPTIONS), 7000)
})

t.test('what would come again is given up at once, the rest after some tries or some time', async (t) => {
  for (const status of [408, 429, 500, 502, 503, 504, undefined])
    t.equal(planRetry({ ...FAILURE, status }, OPTIONS), 500)
  for (const status of [200, 302, 400, 401, 403, 404, 413, 422])
    t.equal(planRetry({ ...FAILURE, status }, OPTIONS), undefined)
  t.equal(planRetry({ ...FAILURE, tried: 5 }, OPTIONS), undefined)
  t.equal(planRetry({ ...FAILURE, elapsedMs: 59_600 }, OPTIONS), undefined)
  t.equal(
    planRetry({ ...FAILURE, retryAfterMs: 61_000 }, OPTIONS),
    undefined,
    'not later than it has patience',
  )
})

const EVENT: ConversionEvent = {
  event_name: 'checkout',
  action_source: 'web',
  event_time: 1_760_000_000,
  user_data: { em: 'jane.roe@example.com' },
}

interface Call {
  readonly body: string
}

/** A server that answers by hand, and a client whose pauses take no time. */
async function setUp(
  t: Test,
  answers: readonly ((response: ServerResponse) => void)[],
  options: Partial<ClientOptions> = {},
) {
  const calls: Call[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      calls.push({ body: Buffer.concat(chunks).toString() })
      answers[Math.min(calls.length, answers.length) - 1]!(response)
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const pauses: number[] = []
  const client = createClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v5`,
    accessToken: 'a-relay-key',
    sleep: async (delayMs) => void pauses.push(delayMs),
    random: () => 0.5,
    ...options,
  })
  return { client, calls, pauses }
}

const answer =
  (status: number, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    const processed = { num_events_received: 1, num_events_processed: 1, events: [{ status: 'processed' }] }
    response
      .writeHead(status, headers)
      .end(JSON.stringify(status === 200 ? processed : { code: 4197, message: 'later' }))
  }
const reset = (response: ServerResponse) => void response.socket?.resetAndDestroy()

t.test(
  "429, 503, a gateway's 502 and a connection that is reset are tried again, with the same bytes",
  async (t) => {
    const { client, calls, pauses } = await setUp(t, [
      answer(503),
      answer(429, { 'retry-after': '3' }),
      answer(502),
      reset,
      answer(200),
    ])
    t.match(await client.eventsCreate('1', { data: [EVENT] }), { num_events_processed: 1 })
    t.same(pauses, [250, 3000, 1000, 2000])
    t.equal(new Set(calls.map(({ body }) => body)).size, 1)
    const { data } = JSON.parse(calls[0]!.body) as { data: ConversionEvent[] }
    t.match(data[0]?.event_id, /^[0-9a-f-]{36}$/, 'what had no id has one, so that it stays one event')
  },
)

t.test('ids that are there are left alone, and so are those that the relay derives', async (t) => {
  const { client, calls } = await setUp(t, [answer(200)])
  const data = [
    { ...EVENT, event_id: 'mine' },
    { ...EVENT, custom_data: { order_id: 4711 } },
    { ...EVENT, event_id: ' ' },
  ]
  await client.eventsCreate('1', { data })
  const sent = (JSON.parse(calls[0]!.body) as { data: ConversionEvent[] }).data
  t.same(sent.slice(0, 2), data.slice(0, 2))
  t.match(sent[2]?.event_id, /^[0-9a-f-]{36}$/)
  t.equal(data[2]?.event_id, ' ', 'what was given is not changed')
})

t.test('what is refused for good is thrown at once; what never works, after five tries', async (t) => {
  const refused = await setUp(t, [answer(422)])
  await t.rejects(refused.client.eventsCreate('1', { data: [EVENT] }), { message: /^HTTP 422/ })
  t.equal(refused.calls.length, 1)
  const failing = await setUp(t, [answer(503)])
  const error: unknown = await failing.client
    .eventsCreate('1', { data: [EVENT] })
    .catch((thrown: unknown) => thrown)
  t.ok(error instanceof ApiError && error.status === 503)
  t.notMatch(String((error as Error).stack), 'jane')
  t.equal(failing.calls.length, 5)
  const gone = await setUp(t, [reset], { retry: { tries: 2 } })
  await t.rejects(gone.client.eventsCreate('1', { data: [EVENT] }), TypeError)
  t.equal(gone.calls.length, 2)
})
