/** A relay that ends: posts are taken as long as they reach it, and none of them gets 503 or is cut off. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { Agent, request } from 'undici'
import { systemClock } from '../../src/clock.ts'
import { CLOSE_MS } from '../../src/settings.ts'
import { until } from '../support/clock.ts'
import { catchDeadlines } from '../support/deadlines.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, type Stand } from '../support/relay.ts'

const PATH = `/v5/ad_accounts/${ACCOUNT}/events`

t.test('while it drains it is unready, takes posts, and asks for new connections', async (t) => {
  const stand = await setUp(t, { DRAIN_MS: '150' })
  const idle = await open(stand)
  idle.write(head('GET', '/livez'))
  await once(idle, 'data')
  const idleEnded = once(idle, 'close')

  const dispatcher = new Agent({ connections: 2 })
  t.teardown(() => dispatcher.close())
  const post = async (eventId: string) => {
    const answer = await request(`${stand.relay.publicUrl}${PATH}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stand.relayKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: [rawEvent({ event_id: eventId })] }),
      dispatcher,
    })
    await answer.body.dump()
    return { status: answer.statusCode, connection: answer.headers['connection'] }
  }
  t.strictSame(await post('before'), { status: 200, connection: 'keep-alive' })
  const closed = stand.relay.close()
  t.equal((await fetch(`${stand.relay.publicUrl}/readyz`)).status, 503)
  const posted: string[] = []
  for (;;) {
    const eventId = `draining-${posted.length}`
    try {
      const { status, connection } = await post(eventId)
      t.match({ status, connection }, { status: /^20[02]$/, connection: 'close' })
      posted.push(eventId)
    } catch (error) {
      // Nobody listens any more; a connection that waited to be accepted is reset by the kernel, unread.
      t.match((error as { code: string }).code, /^(ECONNREFUSED|ECONNRESET)$/)
      break
    }
  }
  t.ok(posted.length > 0)
  await Promise.all([closed, idleEnded])
  await stand.restart()
  await stand.sandbox.until(() =>
    posted.every((id) => stand.sandbox.conversions.counts(ACCOUNT).get(id) === 1),
  )
})

t.test('a post that is in when the port closes is taken and answered', async (t) => {
  const stand = await setUp(t)
  const post = rawPost(stand, 'slow')
  const socket = await open(stand)
  socket.write(post.slice(0, -10))
  // So that the relay has seen it begin.
  await fetch(`${stand.relay.publicUrl}/livez`)
  const postPatience = catchDeadlines(t, CLOSE_MS.calls)
  const idlePatience = catchDeadlines(t, 1000)
  const closed = stand.relay.close()
  while (await accepts(stand)) continue
  await until(() => postPatience.count() > 0)
  idlePatience.fire()
  socket.write(post.slice(-10))
  const [answer] = (await once(socket, 'data')) as [Buffer]
  t.match(String(answer), /^HTTP\/1\.1 20[02] [^]*\r\nconnection: close\r\n/i)
  await closed
  await stand.restart()
  await stand.sandbox.until(() => stand.sandbox.conversions.counts(ACCOUNT).get('slow') === 1)
})

t.test('a post whose call is in flight gets the outcome, and its connection ends', async (t) => {
  const stand = await setUp(t)
  stand.sandbox.faults.add({ kind: 'latency', delayMs: 200 })
  const waiting = stand.post({ data: [rawEvent()] })
  await stand.sandbox.until(() => stand.sandbox.faults.list()[0]?.used === 1)
  const closed = stand.relay.close()
  const { status, headers, body } = await waiting
  t.equal(status, 200)
  t.notMatch(JSON.stringify(body), /queued/)
  t.equal(headers.get('connection'), 'close')
  await closed
})

t.test('connections that wait to be accepted when the relay ends are served', async (t) => {
  // By this clock no machine takes too long to accept them.
  const stand = await setUp(t, {}, {}, { clock: { ...systemClock, monotonicMs: () => 0 } })
  // The loop accepts one a turn. Most wait longer than the millisecond that a drain of 0 ms takes.
  const sockets = Array.from({ length: 300 }, () => connect(portOf(stand), '127.0.0.1'))
  const comeBack = sockets.map(async (socket) => {
    socket.write(head('GET', '/livez'))
    const [answer] = (await once(socket, 'data')) as [Buffer]
    t.equal(String(answer).slice(9, 12), '200')
    return accepts(stand)
  })
  const closed = stand.relay.close()
  const refused = (await Promise.all(comeBack)).filter((isAccepted) => !isAccepted)
  await closed
  t.ok(refused.length > 150, 'what is answered before the port closes would come again, and wait again')
})

t.test('open connections are served while a call is waited for, and end with an answer', async (t) => {
  const stand = await setUp(t)
  const socket = await open(stand)
  socket.write(head('GET', '/livez'))
  await once(socket, 'data')
  const exchange = async (text: string) => {
    socket.write(text)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return String(answer)
  }
  stand.sandbox.faults.add({ kind: 'hang' })
  const waiting = stand.post({ data: [rawEvent()] })
  await stand.sandbox.until(() => stand.sandbox.faults.list()[0]?.used === 1)
  const closed = stand.relay.close()
  while (await accepts(stand)) continue
  const refused = rawPost({ relayKey: 'prl_unknown' }, 'refused')
  // A sender that still sends would get a reset instead of the answer, were its connection closed.
  t.match(await exchange(refused.slice(0, -10)), /^HTTP\/1\.1 401 [^]*\r\nconnection: keep-alive\r\n/i)
  socket.write(refused.slice(-10))
  const last = exchange(rawPost(stand, 'last'))
  t.match(await last, /^HTTP\/1\.1 202 [^]*\r\nconnection: close\r\n/i)
  await stand.sandbox.close()
  await Promise.all([closed, waiting])
})

function rawPost({ relayKey }: Pick<Stand, 'relayKey'>, eventId: string): string {
  const body = JSON.stringify({ data: [rawEvent({ event_id: eventId })] })
  const headers = [
    `authorization: Bearer ${relayKey}`,
    'content-type: application/json',
    'prefer: respond-async',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  return head('POST', PATH, headers) + body
}

function portOf({ relay }: Stand): number {
  return Number(new URL(relay.publicUrl).port)
}

async function open(stand: Stand): Promise<Socket> {
  const socket = connect(portOf(stand), '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

async function accepts(stand: Stand): Promise<boolean> {
  try {
    ;(await open(stand)).destroy()
    return true
  } catch {
    return false
  }
}

function head(method: string, path: string, headers: readonly string[] = []): string {
  return [`${method} ${path} HTTP/1.1`, 'host: relay', ...headers, '', ''].join('\r\n')
}
