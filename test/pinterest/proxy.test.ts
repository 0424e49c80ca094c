/** Calls to Pinterest through a company's proxy: the whole relay, a real proxy, and the sandbox behind TLS. */
import { readFileSync } from 'node:fs'
import { connect, type AddressInfo } from 'node:net'
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import t, { type Test } from 'tap'
import { createPinterest } from '../../src/pinterest/pinterest.ts'
import { createPinterestOauth } from '../../src/pinterest/oauth.ts'
import { readSettings } from '../../src/settings.ts'
import { makeCertificate, opensslMissing } from '../support/certificate.ts'
import { until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { startHttpProxy } from '../support/http-proxy.ts'
import { setUp } from '../support/relay.ts'

const skip = opensslMissing()
const { cert, key } = skip ? { cert: '', key: '' } : makeTrusted()

const PASSWORD = 'p@ss:hunter2'
const BASIC = `Basic ${Buffer.from(`corp:${PASSWORD}`).toString('base64')}`
const ASYNC = { headers: { prefer: 'respond-async' } }
const PATIENT = { headers: { prefer: 'wait=30' } }

function makeTrusted() {
  const paths = makeCertificate(t.testdir())
  const cert = readFileSync(paths.cert, 'utf8')
  setDefaultCACertificates([...getCACertificates('default'), cert])
  return { cert, key: readFileSync(paths.key, 'utf8') }
}

/** TLS in front of a server without; `received`: what came out of it. */
async function startTls(t: Test, port: () => number) {
  const received: string[] = []
  const server = createServer({ cert, key }, (near) => {
    const far = connect(port(), '127.0.0.1')
    near.on('data', (chunk: Buffer) => received.push(chunk.toString('latin1')))
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.pipe(other)
      one.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise((resolve) => server.close(resolve)))
  return { origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

/** A relay whose Pinterest is the sandbox behind TLS, and a proxy that it may have to use. */
async function setUpBehindProxy(t: Test, settings: (proxyPort: number) => Record<string, string>) {
  const proxy = await startHttpProxy(t)
  const tls = await startTls(t, () => stand.sandbox.port)
  const stand = await setUp(t, { PINTEREST_API_URL: `${tls.origin}/v5`, ...settings(proxy.port) })
  return { stand, proxy, tls }
}

const withPassword = (port: number) => `http://corp:${encodeURIComponent(PASSWORD)}@127.0.0.1:${port}`

void t.test(
  'HTTPS_PROXY: a tunnel by CONNECT, with the password for the proxy alone, which is never logged',
  { skip },
  async (t) => {
    const { stand, proxy, tls } = await setUpBehindProxy(t, (port) => ({
      HTTPS_PROXY: withPassword(port),
      LOG_LEVEL: 'trace',
    }))
    t.equal((await stand.post({ data: [rawEvent()] }, PATIENT)).status, 200)
    t.equal(stand.sandbox.conversions.summary(stand.account).recorded, 1)
    t.strictSame(proxy.seen, [new URL(tls.origin).host], 'once: the connection is kept')
    t.strictSame(proxy.authorizations, [BASIC])
    t.match(tls.received.join(''), /^POST \/v5\/ad_accounts\/\d+\/events HTTP/)
    t.notMatch(tls.received.join(''), /proxy-authorization/i)
    t.notMatch(stand.logLines.join(''), /hunter2|p%40ss/)
  },
)

void t.test(
  'a proxy that is down is like Pinterest being down: the events wait, and are delivered later',
  { skip },
  async (t) => {
    const { stand, proxy } = await setUpBehindProxy(t, (port) => ({ HTTPS_PROXY: withPassword(port) }))
    const reasons = () => stand.logLines.filter((line) => line.includes('"reason":')).join('')
    await proxy.stop()
    t.equal((await stand.post({ data: [rawEvent()] }, ASYNC)).status, 202)
    await until(async () => reasons().includes('"reason":"refused"'))
    proxy.status = 407
    await proxy.start()
    await until(async () => reasons().includes('"reason":"proxy"'))
    t.equal((await stand.admin('GET', '/totals')).body['queued'], 1)
    proxy.status = 200
    await stand.sandbox.until(() => stand.sandbox.conversions.summary(stand.account).recorded === 1)
    t.notMatch(stand.logLines.join(''), /hunter2|p%40ss/)
  },
)

void t.test('NO_PROXY: what it names is called directly', { skip }, async (t) => {
  const { stand, proxy } = await setUpBehindProxy(t, (port) => ({
    https_proxy: withPassword(port),
    no_proxy: 'other.example,127.0.0.1',
  }))
  t.equal((await stand.post({ data: [rawEvent()] }, PATIENT)).status, 200)
  t.strictSame(proxy.seen, [])
})

void t.test('an http address: HTTP_PROXY forwards it, HTTPS_PROXY is not for it', async (t) => {
  const proxy = await startHttpProxy(t)
  const stand = await setUp(t, { HTTPS_PROXY: 'http://127.0.0.1:1' })
  t.equal((await stand.post({ data: [rawEvent()] }, PATIENT)).status, 200, 'HTTPS_PROXY')
  await stand.restart({ http_proxy: `corp:${encodeURIComponent(PASSWORD)}@127.0.0.1:${proxy.port}` })
  t.equal((await stand.post({ data: [rawEvent()] }, PATIENT)).status, 200, 'HTTP_PROXY')
  t.match(proxy.seen, [`${stand.sandbox.origin}/v5/ad_accounts/${stand.account}/events`])
  t.strictSame(proxy.authorizations, [BASIC])
})

void t.test(
  'calls for tokens take the proxy, too; a refused CONNECT used up no refresh token',
  { skip },
  async (t) => {
    const proxy = await startHttpProxy(t)
    const tls = await startTls(t, () => 1)
    const settings = readSettings({
      PINTEREST_API_URL: `${tls.origin}/v5`,
      HTTPS_PROXY: withPassword(proxy.port),
    })
    const oauth = createPinterestOauth({ settings, userAgent: 'test', now: Date.now })
    t.teardown(() => oauth.close())
    const refresh = () => oauth.refresh({ clientId: 'app', clientSecret: 'secret' }, 'refresh', '')
    proxy.status = 403
    t.strictSame(await refresh(), { kind: 'failed', reason: 'proxy', isAnswerLost: false })
    await proxy.stop()
    t.strictSame(await refresh(), { kind: 'failed', reason: 'refused', isAnswerLost: false })
    t.strictSame(proxy.authorizations, [BASIC])
  },
)

void t.test(
  'a proxy that does not answer CONNECT costs each call its time, and no more',
  { skip },
  async (t) => {
    const { sandbox } = await setUp(t)
    const proxy = await startHttpProxy(t)
    const tls = await startTls(t, () => sandbox.port)
    const settings = readSettings({
      PINTEREST_API_URL: `${tls.origin}/v5`,
      HTTPS_PROXY: withPassword(proxy.port),
      CALL_TIMEOUT_MS: '500',
      // The one connection must not be held by what is not answered.
      CALLS_IN_FLIGHT_TOTAL: '1',
    })
    const pinterest = createPinterest({ settings, userAgent: 'test' })
    t.teardown(() => pinterest.close())
    const send = () =>
      pinterest.sendEvents({
        adAccountId: '1',
        isTest: true,
        token: 'pina_x',
        body: Buffer.from('{"data":[]}'),
      })
    proxy.status = 0
    t.strictSame(await send(), { kind: 'unanswered', reason: 'timeout' })
    proxy.status = 200
    await until(async () => (await send()).kind === 'answered')
  },
)
