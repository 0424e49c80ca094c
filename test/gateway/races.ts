/** Races between the gateway, a relay and a client that is still sending: the more posts, the likelier a reset shows. */
import type { Test } from 'tap'
import { createClient } from './client.ts'
import { standBehindGateway } from './stand-in.ts'

const MEBIBYTE = 1024 * 1024
export const BODY_LIMIT_BYTES = 8 * MEBIBYTE
const POSTERS = 8

export async function refuseLargeBodies(t: Test, postsPerSize: number): Promise<void> {
  const { gateway, seen } = await standBehindGateway(t, (_, answer) => answer.end('{}'))
  const client = createClient(t, gateway.port)
  for (const sizeBytes of [BODY_LIMIT_BYTES + 1, 9 * MEBIBYTE, 12 * MEBIBYTE]) {
    const large = 'x'.repeat(sizeBytes)
    await times(postsPerSize, async () => {
      const { status, body } = await client.post({ body: large })
      t.equal(status, 413, `${sizeBytes} bytes`)
      t.same(body, { code: 4196, message: 'The body is over 8388608 bytes.' })
    })
  }
  t.same(seen, [], 'the relay is not bothered')
}

export async function refuseEarly(t: Test, posts: number): Promise<void> {
  // As the post limiter does it: the answer before the body is read.
  const { gateway } = await standBehindGateway(t, (_, answer) => {
    answer.writeHead(429, { 'retry-after': '3' }).end('{"code":8,"message":"over"}')
  })
  const client = createClient(t, gateway.port)
  const large = 'x'.repeat(5 * MEBIBYTE)
  await times(posts, async () => {
    const { status, headers } = await client.post({ body: large })
    t.equal(status, 429)
    t.equal(headers['retry-after'], '3')
  })
}

export async function keepConnections(t: Test, posts: number): Promise<void> {
  const { gateway, relay } = await standBehindGateway(t, (incoming, answer) => {
    incoming.resume().on('end', () => answer.end('{}'))
  })
  let connections = 0
  relay.on('connection', () => (connections += 1))

  const client = createClient(t, gateway.port, POSTERS)
  const statuses = new Set<number>()
  const poster = () =>
    times(posts / POSTERS, async () => {
      const { status, headers } = await client.post({ body: '{"data":[]}' })
      statuses.add(status)
      if (headers['keep-alive'] !== 'timeout=60')
        t.fail("the client hears the relay's limit, not the gateway's")
    })
  await Promise.all(Array.from({ length: POSTERS }, poster))
  t.same([...statuses], [200])
  t.ok(connections <= 64, `${posts} posts went over ${connections} connections to the relay`)
}

async function times(count: number, act: () => Promise<void>): Promise<void> {
  for (let done = 0; done < count; done += 1) await act()
}
