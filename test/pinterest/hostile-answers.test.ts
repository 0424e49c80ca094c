/** What no HTTP server would answer, and some proxies do: each is an outcome, and the next call is answered as if nothing had been. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { createUpstream } from '../../src/pinterest/upstream.ts'
import { runDue } from '../support/clock.ts'
import { catchDeadlines } from '../support/deadlines.ts'

const DEADLINE_MS = 59_997
const LIMIT_BYTES = 100_000

const GOOD = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'

type End = 'stays' | 'closes' | 'resets' | 'hangs'

/** What is answered, what becomes of the connection, and the outcome. */
const rows: readonly (readonly [name: string, answer: string, end: End, outcome: object])[] = [
  ['two answers to one call', GOOD + GOOD, 'stays', { status: 200, text: '{}' }],
  [
    'hints before the answer',
    `HTTP/1.1 103 Early Hints\r\n\r\n${GOOD}`,
    'stays',
    { status: 200, text: '{}' },
  ],
  ['an answer, and the end of the connection', GOOD, 'closes', { status: 200, text: '{}' }],
  ['an answer, and a reset', GOOD, 'resets', { status: 200, text: '{}' }],
  ['no body at all', 'HTTP/1.1 204 No Content\r\n\r\n', 'stays', { status: 204, text: '' }],
  [
    'a body that ends with the connection',
    'HTTP/1.0 200 OK\r\n\r\n{}',
    'closes',
    { status: 200, text: '{}' },
  ],
  ['nothing', '', 'closes', { reason: 'reset' }],
  ['hints and nothing else', 'HTTP/1.1 103 Early Hints\r\n\r\n', 'closes', { reason: 'reset' }],
  ['half a head', 'HTTP/1.1 200 OK\r\ncontent-', 'resets', { reason: 'reset' }],
  ['half a body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', 'closes', { reason: 'reset' }],
  ['a body that is reset', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{', 'resets', { reason: 'reset' }],
  ['half a chunk', `${CHUNKED}9\r\n{`, 'closes', { reason: 'reset' }],
  ['a chunk that is none', `${CHUNKED}zz\r\n{`, 'stays', { reason: 'other' }],
  ['another protocol', 'SSH-2.0-OpenSSH_9.9\r\n', 'stays', { reason: 'other' }],
  [
    'a switch of protocols',
    'HTTP/1.1 101 X\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n',
    'stays',
    { reason: 'reset' },
  ],
  ['a head without end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(200_000)}`, 'stays', { reason: 'other' }],
  [
    'a body without end',
    `${CHUNKED}fffff\r\n${'y'.repeat(2 * LIMIT_BYTES)}`,
    'stays',
    { reason: 'too_large' },
  ],
  ['a body that never ends', `${CHUNKED}1\r\n{\r\n`, 'hangs', { reason: 'timeout' }],
  ['no answer', '', 'hangs', { reason: 'timeout' }],
]

async function openServer(t: Test) {
  const answers: (readonly [answer: string, end: End])[] = []
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => {})
    socket.on('data', () => {
      const [answer, end] = answers.shift() ?? [GOOD, 'stays']
      socket.write(answer, () => {
        if (end === 'closes') socket.end()
        if (end === 'resets') socket.resetAndDestroy()
      })
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return { answers, open, port: (server.address() as AddressInfo).port }
}

t.test('each answer is an outcome, and harms no later call', async (t) => {
  const { answers, open, port } = await openServer(t)
  const deadlines = catchDeadlines(t, DEADLINE_MS)
  const settings = { PINTEREST_API_URL: `http://127.0.0.1:${port}/v5`, CALL_TIMEOUT_MS: DEADLINE_MS }
  const pool = { answerBytes: LIMIT_BYTES, connections: 1 }
  const upstream = createUpstream({ settings, userAgent: 'test' }, pool)
  t.teardown(() => upstream.close())
  const ask = () => upstream.ask({ method: 'POST', path: '/', headers: {}, body: '{}' })
  for (const [name, answer, end, outcome] of rows) {
    answers.push([answer, end])
    const asked = ask()
    if (end === 'hangs') {
      while (answers.length > 0) await runDue()
      deadlines.fire()
    }
    t.match(await asked, outcome, name)
    // A call that leaves while its connection is being closed is reset, too, and delivery makes it again.
    if (end === 'closes' || end === 'resets') while (open.size > 0) await runDue()
    await runDue()
    t.match(await ask(), { status: 200, text: '{}' }, `after ${name}`)
  }
  while (open.size > 1) await runDue()
  t.equal(open.size, 1, 'no connection is left behind')
})
