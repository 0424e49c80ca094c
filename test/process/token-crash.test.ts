/**
 * kill -9 around a refresh, at each point of it: what is still good afterwards, and what the next process says. Three
 * accounts are in the midst of one when their relay is killed.
 */
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { FaultRule } from '../../sandbox/faults.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { ADMIN_TOKEN } from '../support/constants.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'

const NOT_DONE = '101'
const DONE = '102'
const DONE_AND_LENIENT = '103'
const ACCOUNTS = [NOT_DONE, DONE, DONE_AND_LENIENT]
const GRACE_MS = 600_000

t.test('a relay is killed while Pinterest is asked for new tokens', async (t) => {
  const sandbox = await createSandbox({ tokens: [], reuseGraceMs: GRACE_MS })
  const start = () =>
    startProcess({
      DATABASE_URL: `sqlite:${folder}/relay.db`,
      PINTEREST_API_URL: sandbox.url,
      CALL_TIMEOUT_MS: '60000',
    })
  const folder = t.testdir()
  let relay = await start()
  t.teardown(async () => {
    await sandbox.close()
    relay.signal('SIGKILL')
    await relay.ended
  })
  const admin = async (method: string, path: string, body?: object) => {
    const response = await fetch(relay.adminUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${ADMIN_TOKEN}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      body: body ? JSON.stringify(body) : null,
    })
    return (await response.json()) as Record<string, Record<string, unknown>>
  }
  for (const account of ACCOUNTS) {
    const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
    const oauth = { client_id: 'app', client_secret: 'client-secret', refresh_token: refreshToken }
    await admin('PUT', `/accounts/${account}`, { oauth })
  }
  const made = await admin('POST', '/keys', { label: 'test', ad_account_ids: ACCOUNTS })
  const key = made['key'] as unknown as string
  const post = (account: string) =>
    fetch(`${relay.publicUrl}/v5/ad_accounts/${account}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: [rawEvent()] }),
    })
  /** Has a refresh begin, since Pinterest refuses one call; resolves once the sandbox has seen it. */
  const beginRefresh = async (account: string, isRecorded: boolean) => {
    const before = sandbox.tokenRequests().length
    const refusal: FaultRule = { kind: 'status', status: 401, times: 1, adAccountId: account }
    sandbox.faults.set([refusal, { kind: 'hang', endpoint: 'token', times: 1, isRecorded }])
    post(account).catch(() => undefined)
    while (sandbox.tokenRequests().length === before) await delay(5)
  }

  await beginRefresh(NOT_DONE, false)
  await beginRefresh(DONE, true)
  sandbox.advanceClock(GRACE_MS)
  await beginRefresh(DONE_AND_LENIENT, true)
  relay.signal('SIGKILL')
  await relay.ended
  sandbox.faults.clear()
  relay = await start()
  /** Once the new process has asked, and has written down what came of it. */
  const grantOf = async (account: string) => {
    for (;;) {
      const { grant } = await admin('GET', `/accounts/${account}`)
      const isSettled = Number(grant?.['next_refresh_in_seconds']) > 60
      if (isSettled && sandbox.tokenRequests().length >= 3 * ACCOUNTS.length) return grant!
      await delay(20)
    }
  }

  await t.test('before Pinterest did it: the next process gets the new pair with the old one', async (t) => {
    t.match(await grantOf(NOT_DONE), { status: 'valid', last_failure: null })
    t.equal((await post(NOT_DONE)).status, 200)
  })

  await t.test('after Pinterest did it: told at once, and events go on with the token in use', async (t) => {
    t.match(await grantOf(DONE), {
      status: 'reauthorize',
      last_failure: { reason: /used before.*earlier refresh was lost/ },
    })
    t.equal((await post(DONE)).status, 200, 'the access token is good for the rest of its life')
  })

  await t.test('the same, where Pinterest takes a refresh token twice: nothing happened', async (t) => {
    t.match(await grantOf(DONE_AND_LENIENT), { status: 'valid', last_failure: null })
    t.equal((await post(DONE_AND_LENIENT)).status, 200)
  })

  await t.test('each is asked for once by each process', async (t) => {
    t.equal(sandbox.tokenRequests().length, 3 * ACCOUNTS.length)
    t.match(sandbox.oauthStats(), { refreshes: 3 * ACCOUNTS.length - 1, reuses: 1 })
  })
})
