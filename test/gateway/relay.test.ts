/** The real relay behind the real gateway. */
import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { request } from 'undici'
import { ADMIN_TOKEN } from '../support/constants.ts'
import { SHIPPED, gatewayMissing } from '../support/gateway.ts'
import { shopifyHeaders, shopifyOrder } from '../support/shop-payloads.ts'
import { sendRaw, type Answer } from './client.ts'
import { BODY_LIMIT_BYTES } from './races.ts'
import {
  keepRelayConnections,
  POSTERS,
  refuseUnread,
  startRelayBehindGateway,
} from './relay-behind-gateway.ts'

const PATIENT = { prefer: 'wait=30' }
/** Of each poster. */
const PACE_MS = 50

void t.test('a relay behind the gateway', { skip: gatewayMissing() }, async (t) => {
  const behind = await startRelayBehindGateway(t)
  const { stand, gateway, post } = behind

  await t.test('a post is delivered, and its outcome comes back', async (t) => {
    const { status, body } = await post({ events: 2, headers: PATIENT })
    t.equal(status, 200)
    t.match(body, { num_events_received: 2, num_events_processed: 2 })
  })

  await t.test('a post that waits longer than Pinterest takes gets the outcome', async (t) => {
    stand.sandbox.faults.add({ kind: 'latency', delayMs: 3_000 })
    const [patient, usual] = await Promise.all([post({ headers: PATIENT }), post({})])
    stand.sandbox.faults.clear()
    t.equal(patient.status, 200)
    t.equal(patient.headers['preference-applied'], 'wait=30')
    t.match([usual.status, usual.headers['relay-queued']], [200, '1'])
  })

  await t.test('the body limits of the two are one', async (t) => {
    t.equal((await post({ sizeBytes: BODY_LIMIT_BYTES, headers: PATIENT })).status, 200)
    const refused = await post({ sizeBytes: BODY_LIMIT_BYTES + 1 })
    t.equal(refused.status, 413)
    t.match(refused.body, { code: 4196 })
  })

  await t.test('a refusal before the body comes through, however large the body', (t) =>
    refuseUnread(t, behind, 4),
  )

  await t.test("a shop's webhook keeps its signature on the way", async (t) => {
    const secret = 'secret-of-a-shop-0123'
    const source = { kind: 'shopify', ad_account_id: stand.account, secret }
    await stand.admin('PUT', '/sources/shop-1', source)
    const body = JSON.stringify(shopifyOrder(new Date(), { note: 'ünïcödé ' + 'x'.repeat(300_000) }))
    const send = (headers: Record<string, string>) =>
      fetch(`http://127.0.0.1:${gateway.port}/sources/shop-1`, { method: 'POST', headers, body })
    t.equal((await send(shopifyHeaders(secret, body))).status, 200)
    t.equal((await send(shopifyHeaders('another', body))).status, 401)
  })

  await t.test('posts over kept connections, none reset', (t) => keepRelayConnections(t, behind, 200))

  await t.test('the relay keeps idle connections longer than the gateway', async (t) => {
    const { headers, body } = await request(`${stand.relay.publicUrl}/livez`)
    await body.dump()
    const relayS = Number(/timeout=(\d+)/.exec(String(headers['keep-alive']))?.[1])
    const upstream = /^keepalive_timeout (\d+)s;/m.exec(await readFile(`${SHIPPED}keepalive.conf`, 'utf8'))
    const gatewayS = Number(upstream?.[1])
    t.ok(gatewayS + 5 <= relayS, `the gateway gives up after ${gatewayS} s, the relay after ${relayS} s`)
  })

  await t.test('the admin port is out of reach, with the right token and any path', async (t) => {
    const authorization = `Authorization: Bearer ${ADMIN_TOKEN}`
    const adminPort = Number(new URL(stand.relay.adminUrl).port)
    const direct = await sendRaw(adminPort, ['GET /accounts HTTP/1.1', 'Host: localhost', authorization])
    t.match(direct.body, { accounts: Array }, 'the token is right')

    const admin = `127.0.0.1:${adminPort}`
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
        // Sooner than Retry-After says, which is seconds.
        await delay(PACE_MS)
      }
    }
    const posters = Array.from({ length: POSTERS }, poster)
    while (answers.length < POSTERS) await delay(PACE_MS)
    await stand.relay.close()
    t.equal((await post({})).status, 503)
    await stand.restart()
    t.equal((await post({ headers: PATIENT })).status, 200)
    done.abort()
    await Promise.all(posters)

    const refusals = answers.filter(({ status }) => status === 503)
    for (const { headers, body } of refusals) {
      t.match(body, { code: 4197, message: String })
      t.match(headers['retry-after'], /^\d+$/)
    }
    const others = new Set(answers.map(({ status }) => status))
    for (const status of [503, 200, 202]) others.delete(status)
    t.same([...others], [])
  })
})
