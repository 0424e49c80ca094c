import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { createAdminApp, createHostCheck } from '../../src/admin/app.ts'
import type { AdminOptions } from '../../src/admin/options.ts'
import { createRefusals } from '../../src/admin/refusals.ts'
import { codeOf } from '../../src/errors.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import { createManualClock } from '../support/clock.ts'
import { ACCOUNT, ADMIN_TOKEN, setUp } from '../support/relay.ts'

const MINUTE_MS = 60_000

function setUpRefusals() {
  const clock = createManualClock()
  const counted = { refusals: 0, lines: 0 }
  const log = createLog({ level: 'info', destination: { write: () => void (counted.lines += 1) } })
  const metrics = createMetrics({ version: 'test' })
  metrics.adminRefused.inc = () => void (counted.refusals += 1)
  const refusals = createRefusals({ clock, metrics, log })
  const guess = () => codeOf(refusals.note(true))
  return { clock, counted, refusals, guess }
}

t.test('twenty guesses are answered with 401 at once, and then one a second', async (t) => {
  const { clock, counted, guess } = setUpRefusals()
  const guessTimes = (count: number) => Array.from({ length: count }, guess)
  t.same(guessTimes(21), [...Array<string>(20).fill('UNAUTHORIZED'), 'TOO_MANY_GUESSES'])
  await clock.advance(1000)
  t.same(guessTimes(2), ['UNAUTHORIZED', 'TOO_MANY_GUESSES'])
  t.equal(counted.refusals, 23, 'all are counted')
  await clock.advance(MINUTE_MS)
  t.same(guessTimes(20), Array(20).fill('UNAUTHORIZED'), 'a minute later it is as before')
})

t.test('who gives no token is no guesser, and a line is written once a minute', async (t) => {
  const { clock, counted, refusals } = setUpRefusals()
  for (let n = 0; n < 1000; n++) refusals.note(false)
  t.same(counted, { refusals: 1000, lines: 1 })
  await clock.advance(MINUTE_MS)
  refusals.note(false)
  t.equal(counted.lines, 2)
})

t.test('a guesser, by token or login, keeps nobody with the right token out', async (t) => {
  // Which stands: on a slow machine a second might pass.
  const { relay, logLines } = await setUp(t, {}, {}, { clock: createManualClock() })
  const statuses: number[] = []
  const ask = (path: string, init: RequestInit) =>
    fetch(relay.adminUrl + path, init).then(({ status }) => void statuses.push(status))
  const login = (token: string) => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ admin_token: token }),
  })
  const guesses = Array.from({ length: 20 }, (_, n) => [
    ask('/session', login(`guess ${n}`)),
    ask('/totals', { headers: { authorization: `Bearer guess-${n}` } }),
  ])
  await Promise.all(guesses.flat())
  t.equal(statuses.filter((status) => status === 401).length, 20)
  t.equal(statuses.filter((status) => status === 429).length, 20)
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  t.equal((await fetch(`${relay.adminUrl}/totals`, { headers })).status, 200)
  t.equal((await fetch(`${relay.adminUrl}/session`, login(ADMIN_TOKEN))).status, 200)
  const refused = await fetch(`${relay.adminUrl}/session`, login('wrong'))
  t.same([refused.status, refused.headers.get('retry-after')], [429, '1'])
  t.equal((await fetch(`${relay.adminUrl}/session`, { method: 'POST' })).status, 400)
  const metrics = await (await fetch(`${relay.adminUrl}/metrics`, { headers })).text()
  t.match(metrics, /^pinrelay_admin_refused_total 41$/m)
  const answered = logLines.filter((line) => line.includes('admin request answered'))
  t.ok(
    answered.every((line) => /"status":20\d/.test(line)),
    'no guess has a line of its own',
  )
  t.equal(logLines.filter((line) => line.includes('admin requests without the token')).length, 1)
})

t.test('who has no session ends none, and leaves neither an audit entry nor a line', async (t) => {
  const { relay, admin, logLines } = await setUp(t)
  const entries = async () => (await admin('GET', '/audit')).body['entries']
  const before = await entries()
  const [{ status }, forged] = await Promise.all([
    fetch(`${relay.adminUrl}/session`, { method: 'DELETE' }),
    fetch(`${relay.adminUrl}/session`, { method: 'DELETE', headers: { cookie: 'pinrelay_session=x' } }),
  ])
  t.same([status, forged.status], [401, 401])
  t.same(await entries(), before)
  t.notOk(logLines.some((line) => line.includes('/session')))
})

t.test('a request that never ends is ended', async (t) => {
  const clock = createManualClock()
  const settings = { ADMIN_HOST: '127.0.0.1', ADMIN_HOSTS: [] }
  const options = { settings, clock, version: '', publicUrl: () => '' } as unknown as AdminOptions
  const app = await createAdminApp(options)
  t.teardown(() => app.close())
  t.ok(app.server.requestTimeout > 0 && app.server.requestTimeout <= 60_000)
})

t.test('a body that is nested too deep to be written is refused like any other', async (t) => {
  const { relay } = await setUp(t)
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' }
  const body = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
  t.equal((await fetch(`${relay.adminUrl}/reseal`, { method: 'POST', headers, body })).status, 400)
})

t.test('a request without a Host is answered with what it lacks', async (t) => {
  const { relay } = await setUp(t)
  const socket = connect(Number(new URL(relay.adminUrl).port), '127.0.0.1')
  socket.end('GET /livez HTTP/1.1\r\nconnection: close\r\n\r\n')
  t.match(
    await text(socket),
    /^HTTP\/1\.1 400 [^]*\{"code":"INVALID_REQUEST","message":"The header Host is missing\."\}$/,
  )
})

t.test(
  'the admin port answers to its names and to addresses, and to no name that a web page may bring',
  async (t) => {
    const isKnown = createHostCheck({
      ADMIN_HOST: '10.0.0.1',
      ADMIN_PUBLIC_URL: 'https://Console.internal/',
      ADMIN_HOSTS: ['Relay.internal'],
    })
    const known = [
      'localhost',
      'LOCALHOST:8081',
      '127.0.0.1:8081',
      '[::1]:8081',
      '[fd00::1]',
      '10.2.3.4:80',
      'relay.internal:8081',
      'console.internal',
      undefined,
    ]
    for (const host of known) t.ok(isKnown(host), String(host))
    const unknown = [
      'evil.example',
      'evil.example:8081',
      'localhost.evil.example',
      'evil.localhost',
      'localhost@evil',
      '',
      ':8081',
      '127.0.0.1.evil.example',
      '[evil]',
      'relay',
      '1',
      '0x7f.1',
    ]
    for (const host of unknown) t.notOk(isKnown(host), host)
  },
)

t.test('a page that made its name lead here reads nothing, whatever it asks for', async (t) => {
  const { relay } = await setUp(t, {
    METRICS_OPEN: 'true',
    ADMIN_HOSTS: 'relay, pinrelay-admin',
    ADMIN_PUBLIC_URL: 'https://console.example',
  })
  const paths = [
    '/',
    '/console/main.js',
    '/metrics',
    '/totals',
    '/nothing',
    `/accounts/${ACCOUNT}/authorize`,
    '/openapi.json',
  ]
  for (const path of paths) {
    const { status, text } = await get(relay.adminUrl + path, 'evil.example:8081')
    t.equal(status, 421, path)
    t.match(JSON.parse(text), { code: 'WRONG_HOST', message: /ADMIN_HOSTS/ })
  }
  for (const host of ['relay:8081', 'pinrelay-admin', 'console.example', 'localhost:1', '127.0.0.1'])
    t.equal((await get(`${relay.adminUrl}/metrics`, host)).status, 200, host)
  await postAs(t, relay.adminUrl, 'evil.example')
})

/** Even with the token. */
async function postAs(t: Test, url: string, host: string): Promise<void> {
  const { status } = await get(`${url}/totals`, host, { authorization: `Bearer ${ADMIN_TOKEN}` })
  t.equal(status, 421)
}

function get(url: string, host: string, headers: Record<string, string> = {}) {
  return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
    request(url, { headers: { ...headers, host }, agent: false }, (answer) => {
      let text = ''
      answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
    })
      .on('error', reject)
      .end()
  })
}
