/** The whole way: a storefront's posts, the real nginx with compose's configuration, the real relay, and the sandbox. */
import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { startGateway } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { setUp } from '../support/relay.ts'
import { createClient } from './client.ts'

export const POSTERS = 8
const LARGE_BYTES = 5 * 1024 * 1024

export type RelayBehindGateway = Awaited<ReturnType<typeof startRelayBehindGateway>>

export interface PostOptions {
  readonly events?: number
  readonly sizeBytes?: number
  readonly headers?: Readonly<Record<string, string>>
}

export async function startRelayBehindGateway(t: Test) {
  const port = await findFreePort()
  const stand = await setUp(
    t,
    // On the same port each time: the gateway knows one address.
    { PORT: String(port), TRUST_PROXY: '127.0.0.1/32', ANSWER_WAIT_MS: '500' },
    { journal: { maxCalls: 0 } },
  )
  const gateway = await startGateway(port)
  t.teardown(gateway.close)
  const authorization = `Bearer ${stand.relayKey}`
  const client = createClient(t, gateway.port, POSTERS)
  return {
    stand,
    gateway,
    post: ({ headers, ...body }: PostOptions) =>
      client.post({ headers: { authorization, ...headers }, body: bodyOf(body) }),
  }
}

/** Below the most that an event may have. */
const EVENT_BYTES = 1_000_000

/** Valid, and padded to the wanted size with white space in its events. */
function bodyOf({ events = 1, sizeBytes = 0 }: PostOptions): string {
  const count = Math.max(events, Math.ceil(sizeBytes / EVENT_BYTES))
  const data = Array.from({ length: count }, () =>
    JSON.stringify({
      event_name: 'checkout',
      action_source: 'web',
      event_time: Math.floor(Date.now() / 1000),
      event_id: randomUUID(),
      user_data: { em: ['jane@shop.example'] },
    }),
  )
  let missing = Math.max(0, sizeBytes - `{"data":[${data.join()}]}`.length)
  const share = Math.ceil(missing / count)
  const padded = data.map((event) => {
    const spaces = Math.min(share, missing)
    missing -= spaces
    return `${event.slice(0, -1)}${' '.repeat(spaces)}}`
  })
  return `{"data":[${padded.join()}]}`
}

/** The answer comes before the body was read. */
export async function refuseUnread(t: Test, { post }: RelayBehindGateway, posts: number): Promise<void> {
  for (let count = 0; count < posts; count += 1) {
    const headers = { authorization: 'Bearer nobody' }
    const { status, body } = await post({ headers, sizeBytes: LARGE_BYTES })
    t.equal(status, 401)
    t.match(body, { code: 2 })
  }
}

export async function keepRelayConnections(
  t: Test,
  { post }: RelayBehindGateway,
  posts: number,
): Promise<void> {
  const statuses = new Set<number>()
  const poster = async () => {
    for (let count = 0; count < posts / POSTERS; count += 1) {
      statuses.add((await post({ headers: { prefer: 'respond-async' } })).status)
    }
  }
  await Promise.all(Array.from({ length: POSTERS }, poster))
  t.same([...statuses], [202])
}
