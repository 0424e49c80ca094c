/** Posts spoiled by chance over real connections, as many as asked for: fuzz.test.ts sends some, fuzz.long.ts many. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Test } from 'tap'
import { rawEvent } from '../support/events.ts'
import { mutateBody } from '../support/mutate.ts'
import { createRandom } from '../support/random.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

export interface Fuzz {
  readonly posts: number
  /** The same seed spoils the posts in the same way. */
  readonly seed: number
}

const CONNECTIONS = 8
const ALLOWED = new Set([200, 202, 400, 413, 422])

/** Each post gets its row of the answer table, and nothing that was taken is lost. */
export async function postSpoiled(t: Test, { posts, seed }: Fuzz): Promise<void> {
  const limits = { POSTS_PER_MINUTE: '0', CALLS_PER_MINUTE: '1000000', CALL_BURST: '10000' }
  const sandboxOptions = { callsPerMinute: 0, journal: { maxCalls: 0 } }
  const stand = await setUp(t, { ...limits, LOG_LEVEL: 'error' }, sandboxOptions)
  const { relay, relayKey, admin, sandbox, post } = stand
  const port = Number(new URL(relay.publicUrl).port)
  const statuses = new Map<number, number>()
  const bad: string[] = []
  const head =
    `POST /v5/ad_accounts/${ACCOUNT}/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${relayKey}\r\n` +
    `content-type: application/json\r\ncontent-length: `

  async function shoot(connection: number): Promise<void> {
    const random = createRandom(seed + connection).next
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const answers = readAnswers(socket)
    for (let n = connection; n < posts; n += CONNECTIONS) {
      const event = (name: string) => rawEvent({ event_id: `${name}-${n}` })
      const body = mutateBody(JSON.stringify({ data: [event('one'), event('other')] }), random)
      socket.write(Buffer.concat([Buffer.from(`${head}${body.length}\r\n\r\n`), body]))
      const { value } = await answers.next()
      const { status, text } = value as { status: number; text: string }
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (!ALLOWED.has(status) || !isRow(status, text)) bad.push(`${status} ${text.slice(0, 100)}`)
    }
    socket.end()
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, connection) => shoot(connection)))

  const count = (status: number) => statuses.get(status) ?? 0
  t.strictSame(bad.slice(0, 5), [], `seed ${seed}: ${bad.length} answers outside of the table`)
  t.equal(
    [...statuses.values()].reduce((sum, posted) => sum + posted),
    posts,
    'every post was answered',
  )
  t.ok(count(200) > posts / 100, 'some survive')
  t.ok(count(400) > posts / 100 && count(422) > posts / 100, 'some do not')

  t.equal((await post({ data: [rawEvent()] })).status, 200, 'it works as before')
  const { body } = await admin('GET', '/totals')
  const { received, delivered, rejected, expired, filtered, queued, duplicate } = body as Record<
    string,
    number
  >
  t.equal(
    received,
    delivered! + rejected! + expired! + filtered! + queued! + duplicate!,
    'the totals balance',
  )
  t.equal(queued, 0)
  t.equal(rejected, 0, `seed ${seed}: nothing that Pinterest refuses got past the relay`)
  t.equal(sandbox.conversions.summary(ACCOUNT).recorded, delivered, 'and all of it arrived')
}

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
