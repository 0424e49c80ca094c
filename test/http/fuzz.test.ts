import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createRandom, mutateBody } from '../support/mutate.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

// Both for this file and for the one test in it; the runner allows less by default.
t.setTimeout(200_000)

const POSTS = 100_000
const CONNECTIONS = 8
const ALLOWED = new Set([200, 202, 400, 413, 422])

t.test(`${POSTS} spoiled posts: each gets its row of the answer table, and nothing is lost`, async (t) => {
  t.setTimeout(200_000)
  const limits = { POSTS_PER_MINUTE: '0', CALLS_PER_MINUTE: '1000000', CALL_BURST: '10000' }
  const stand = await setUp(t, limits, { callsPerMinute: 0, journal: { maxCalls: 0 } })
  const { relay, relayKey, admin, sandbox, post } = stand
  const port = Number(new URL(relay.publicUrl).port)
  const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000)
  t.comment(`FUZZ_SEED=${seed}`)
  const statuses = new Map<number, number>()
  const bad: string[] = []
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()

  async function shoot(lane: number): Promise<void> {
    const random = createRandom(seed + lane)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const answers = readAnswers(socket)
    for (let n = lane; n < POSTS; n += CONNECTIONS) {
      const body = mutateBody(JSON.stringify({ data: [rawEvent(), rawEvent()] }), random)
      socket.write(Buffer.concat([head(body.length), body]))
      const { value } = await answers.next()
      const { status, text } = value as { status: number; text: string }
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (!ALLOWED.has(status) || !isRow(status, text)) bad.push(`${status} ${text.slice(0, 100)}`)
    }
    socket.end()
  }
  const head = (bytes: number) =>
    Buffer.from(
      `POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relayKey}\r\n` +
        `content-type: application/json\r\ncontent-length: ${bytes}\r\n\r\n`,
    )
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, lane) => shoot(lane)))

  t.strictSame(bad.slice(0, 5), [], `${bad.length} answers outside of the table`)
  t.comment(
    JSON.stringify(Object.fromEntries([...statuses].toSorted(([a], [b]) => a - b))),
    `longest loop delay ${delay.max / 1e6} ms`,
  )
  t.equal(
    [...statuses.values()].reduce((sum, count) => sum + count),
    POSTS,
    'every post was answered',
  )
  t.ok((statuses.get(200) ?? 0) > 1000, 'some survive')
  t.ok((statuses.get(400) ?? 0) > 1000 && (statuses.get(422) ?? 0) > 1000, 'some do not')

  t.equal((await post({ data: [rawEvent()] })).status, 200, 'it works as before')
  const { body } = await admin('GET', '/books')
  const { received, delivered, rejected, expired, queued, duplicate } = body as Record<string, number>
  t.equal(received, delivered! + rejected! + expired! + queued! + duplicate!, 'the books balance')
  t.equal(queued, 0)
  t.equal(rejected, 0, 'nothing that Pinterest refuses got past the relay')
  t.equal(sandbox.conversions.summary(ACCOUNT).recorded, delivered, 'and all of it arrived')
})

function isRow(status: number, text: string): boolean {
  const body = JSON.parse(text) as Record<string, unknown>
  if (status === 200 || status === 202) return Array.isArray(body['events'])
  if (status === 422) return body['code'] === 953 && typeof body['details'] === 'object'
  return body['code'] === 4196 && typeof body['message'] === 'string'
}

/** Answers on one kept-alive connection, in order: all of them carry a content-length. */
async function* readAnswers(socket: Socket): AsyncGenerator<{ status: number; text: string }, void> {
  let buffer = Buffer.alloc(0)
  for await (const chunk of socket) {
    buffer = Buffer.concat([buffer, chunk as Buffer])
    for (;;) {
      const headEnd = buffer.indexOf('\r\n\r\n')
      if (headEnd < 0) break
      const headText = buffer.subarray(0, headEnd).toString('latin1')
      const bodyBytes = Number(/^content-length: (\d+)$/im.exec(headText)?.[1])
      if (buffer.length < headEnd + 4 + bodyBytes) break
      yield {
        status: Number(headText.slice(9, 12)),
        text: buffer.subarray(headEnd + 4, headEnd + 4 + bodyBytes).toString('utf8'),
      }
      buffer = buffer.subarray(headEnd + 4 + bodyBytes)
    }
  }
}
