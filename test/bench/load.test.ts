import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { shoot } from '../../bench/load.ts'
import { createPosts } from '../../bench/posts.ts'

/** A millisecond passes whenever somebody asks: the load is so many posts, however fast the machine is. */
function countTime(t: Test): void {
  let nowMs = 0
  const mocked = mock.method(performance, 'now', () => ++nowMs)
  t.teardown(() => mocked.mock.restore())
}

t.test('no two events of a load are the same, and every answer counts once', async (t) => {
  const eventIds: string[] = []
  const paths = new Map<string, number>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: { event_id: string }[] }
      eventIds.push(...data.map(({ event_id }) => event_id))
      paths.set(request.url!, (paths.get(request.url!) ?? 0) + 1)
      response.statusCode = eventIds.length % 4 === 0 ? 422 : 200
      // With a length and, as a proxy may answer, in chunks.
      response.write('{"a":')
      if (eventIds.length % 3 === 0) response.end('1}')
      else setImmediate(() => response.end('1}'))
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  countTime(t)
  const result = await shoot({
    port: (server.address() as AddressInfo).port,
    connections: 3,
    seconds: 0.2,
    posts: createPosts('raw', 2),
    adAccountIds: ['1', '2'],
    headers: { authorization: 'Bearer x' },
  })
  t.ok(result.posts > 10)
  t.equal(eventIds.length, 2 * result.posts)
  t.equal(new Set(eventIds).size, eventIds.length)
  t.equal((result.statuses['200'] ?? 0) + (result.statuses['422'] ?? 0), result.posts)
  t.ok((result.statuses['422'] ?? 0) > 0)
  t.same([...paths.keys()].toSorted(), ['/v5/ad_accounts/1/events', '/v5/ad_accounts/2/events'])
  t.ok(result.p50Ms <= result.p99Ms)
})

t.test('each event of a load is another customer’s, and all posts are as long', async (t) => {
  for (const kind of ['raw', 'hashed'] as const) {
    const posts = createPosts(kind, 10)
    const bodies = Array.from({ length: 100 }, () => Buffer.from(posts.next()).toString())
    const events = bodies.flatMap((body) => (JSON.parse(body) as { data: { user_data: object }[] }).data)
    const people = events.map(({ user_data }) => Object.entries(user_data))
    const valuesOf = (field: string) => new Set(people.map((one) => String(new Map(one).get(field)))).size
    t.equal(valuesOf('em'), events.length)
    for (const [field, least] of Object.entries({ ph: 900, ln: 700, zp: 900, ct: 300, st: 15 }))
      t.ok(valuesOf(field) >= least, `${kind} ${field}: ${valuesOf(field)}`)
    t.equal(new Set(bodies.map((body) => Buffer.byteLength(body))).size, 1)
  }
})

t.test('a server that goes away is reported', async (t) => {
  const server = createServer((request) => request.socket.destroy())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  countTime(t)
  const load = { port, connections: 1, seconds: 1, adAccountIds: ['1'], headers: {} }
  await t.rejects(shoot({ ...load, posts: createPosts('hashed', 1) }))
})
