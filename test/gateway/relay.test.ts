/** The whole way: a storefront, the real nginx with compose's configuration, the real relay, and the sandbox. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { startProcess } from '../support/process.ts'
import { ADMIN_TOKEN } from '../support/relay.ts'
import { CONFIGURATION, gatewayMissing, startGateway } from '../support/gateway.ts'
import { findFreePort } from '../support/ports.ts'
import { createClient, sendRaw, type Answer } from './client.ts'

const BODY_LIMIT_BYTES = 8 * 1024 * 1024
const POSTERS = 8

void t.test('a relay behind the gateway', { skip: gatewayMissing() }, async (t) => {
  const { sandbox, relay, gateway, post } = await relayBehindGateway(t)

  await t.test('a post is delivered, and its verdict comes back', async (t) => {
    const { status, body } = await post({ events: 2 })
    t.equal(status, 200)
    t.match(body, { num_events_received: 2, num_events_processed: 2 })
  })

  await t.test('a post that waits longer than Pinterest takes gets the verdict', async (t) => {
    sandbox.faults.add({ kind: 'latency', delayMs: 3_000 })
    const [patient, usual] = await Promise.all([post({ headers: { prefer: 'wait=30' } }), post({})])
    sandbox.faults.clear()
    t.equal(patient.status, 200)
    t.equal(patient.headers['preference-applied'], 'wait=30')
    t.equal(usual.status, 202)
  })

  await t.test('the body limits of the two are one', async (t) => {
    t.equal((await post({ sizeBytes: BODY_LIMIT_BYTES })).status, 200)
    const refused = await post({ sizeBytes: BODY_LIMIT_BYTES + 1 })
    t.equal(refused.status, 413)
    t.match(refused.body, { code: 4196 })
  })

  await t.test('a refusal before the body comes through, however large the body', async (t) => {
    for (let count = 0; count < 20; count += 1) {
      const headers = { authorization: 'Bearer nobody' }
      const { status, body } = await post({ headers, sizeBytes: 5 * 1024 * 1024 })
      t.equal(status, 401)
      t.match(body, { code: 2 })
    }
  })

  await t.test('2,000 posts over kept connections, none reset', async (t) => {
    const statuses = new Set<number>()
    const poster = async () => {
      for (let count = 0; count < 2_000 / POSTERS; count += 1) {
        statuses.add((await post({ headers: { prefer: 'respond-async' } })).status)
      }
    }
    await Promise.all(Array.from({ length: POSTERS }, poster))
    t.same([...statuses], [202])
  })

  await t.test('the relay keeps idle connections longer than the gateway', async (t) => {
    const { headers, body } = await request(`http://127.0.0.1:${relay.port}/livez`)
    await body.dump()
    const relayS = Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])
    const upstream = /upstream relay \{[^}]*keepalive_timeout (\d+)s;/.exec(
      await readFile(CONFIGURATION, 'utf8'),
    )
    const gatewayS = Number(upstream?.[1])
    t.ok(gatewayS + 5 <= relayS, `the gateway gives up after ${gatewayS} s, the relay after ${relayS} s`)
  })

  await t.test('the admin port is out of reach, with the right token and any spelling', async (t) => {
    const authorization = `Authorization: Bearer ${ADMIN_TOKEN}`
    const direct = await sendRaw(relay.adminPort(), ['GET /accounts HTTP/1.1', 'Host: relay', authorization])
    t.match(direct.body, { accounts: Array }, 'the token is right')

    const admin = `127.0.0.1:${relay.adminPort()}`
    const paths = [
      '/accounts',
      '//accounts',
      '/v5/accounts',
      '/v5/../accounts',
      '/v5/%2e%2e/accounts',
      '/v5/..%2faccounts',
      '/v5/%252e%252e/accounts',
      '/v5/\\..\\accounts',
      '/v5/ad_accounts/1/events/../../../../accounts',
      `http://${admin}/accounts`,
      `http://${admin}/v5/../accounts`,
    ]
    for (const path of paths) {
      for (const host of ['shop.example', admin]) {
        const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, authorization]
        const { statusLine, body } = await sendRaw(gateway.port, lines)
        t.match(statusLine, /^HTTP\/1\.1 (404|400) /, `${path} of ${host}`)
        t.match(body, { code: Number, message: String })
      }
    }
  })

  // The last: it ends the relay that the others share.
  await t.test('a relay that ends and comes back costs answers in good form, never a reset', async (t) => {
    const answers: Answer[] = []
    const done = new AbortController()
    const poster = async () => {
      while (!done.signal.aborted) {
        const answer = await post({})
        answers.push(answer)
        // As told, if sooner: Retry-After is seconds.
        if (answer.status === 503) await delay(50)
      }
    }
    const posters = Array.from({ length: POSTERS }, poster)
    await delay(200)
    t.equal(await relay.stop(), 0, 'ends with 0')
    t.equal((await post({})).status, 503)
    await relay.start()
    t.equal((await post({})).status, 200)
    done.abort()
    await Promise.all(posters)

    const refusals = answers.filter(({ status }) => status === 503)
    for (const { headers, body } of refusals) {
      t.match(body, { code: 4197, message: String })
      t.match(headers['retry-after'], /^\d+$/)
    }
    const others = new Set(answers.map(({ status }) => status))
    others.delete(503)
    t.ok(others.has(200))
    others.delete(200)
    others.delete(202)
    t.same([...others], [])
  })
})

interface PostOptions {
  readonly events?: number
  readonly sizeBytes?: number
  readonly headers?: Readonly<Record<string, string>>
}

/** One for all tests: a relay takes its time to stop. */
async function relayBehindGateway(t: Test) {
  const sandbox = await createSandbox({ journal: { maxCalls: 0 } })
  t.teardown(() => sandbox.close())
  const port = await findFreePort()
  const folder = t.testdir()
  // On the same port and store each time: the gateway knows one address.
  const start = () =>
    startProcess({
      PORT: String(port),
      DATABASE_URL: `sqlite:${folder}/relay.db`,
      PINTEREST_API_URL: sandbox.url,
      TRUST_PROXY: '127.0.0.1/32',
      ANSWER_WAIT_MS: '500',
    })
  let process = await start()
  const relay = {
    port,
    adminPort: () => Number(new URL(process.adminUrl).port),
    async stop() {
      process.signal('SIGTERM')
      return process.ended
    },
    async start() {
      process = await start()
    },
  }
  t.teardown(() => relay.stop())
  const gateway = await startGateway(port)
  t.teardown(gateway.close)
  const authorization = `Bearer ${await process.register()}`
  const client = createClient(t, gateway.port, POSTERS)
  return {
    sandbox,
    relay,
    gateway,
    post: ({ headers, ...body }: PostOptions) =>
      client.post({ headers: { authorization, ...headers }, body: bodyOf(body) }),
  }
}

/** Valid, and padded behind its end to the wanted size. */
function bodyOf({ events = 1, sizeBytes = 0 }: PostOptions): string {
  const data = Array.from({ length: events }, () => ({
    event_name: 'checkout',
    action_source: 'web',
    event_time: Math.floor(Date.now() / 1000),
    event_id: randomUUID(),
    user_data: { em: ['jane@shop.example'] },
  }))
  return JSON.stringify({ data }).padEnd(sizeBytes)
}
