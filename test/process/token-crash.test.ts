/** kill -9 around a refresh, at each point of it: what is still good afterwards, and what the next process says. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FaultRule } from '../../sandbox/faults.ts'
import { createSandbox, type SandboxOptions } from '../../sandbox/sandbox.ts'
import { rawEvent } from '../support/events.ts'
import { startProcess } from '../support/process.ts'
import { ACCOUNT, ADMIN_TOKEN } from '../support/relay.ts'

async function setUp(t: Test, options: SandboxOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'pinrelay-token-'))
  const sandbox = await createSandbox({ tokens: [], ...options })
  const start = () =>
    startProcess({ DATABASE_URL: `sqlite:${folder}/relay.db`, PINTEREST_API_URL: sandbox.url })
  let relay = await start()
  let askedBefore = 0
  t.teardown(async () => {
    await sandbox.close()
    relay.signal('SIGKILL')
    await relay.ended
    await rm(folder, { recursive: true })
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
  const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
  const oauth = { client_id: 'app', client_secret: 'client-secret', refresh_token: refreshToken }
  await admin('PUT', `/accounts/${ACCOUNT}`, { oauth })
  const made = await admin('POST', '/keys', { label: 'test', ad_account_ids: [ACCOUNT] })
  const key = made['key'] as unknown as string
  const post = () =>
    fetch(`${relay.publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ data: [rawEvent()] }),
    })
  return {
    sandbox,
    admin,
    post,
    /** Has a refresh begin, since Pinterest refuses one call, and kills the relay once the sandbox has seen it. */
    async killAmidRefresh(fault: FaultRule) {
      const before = sandbox.tokenRequests().length
      sandbox.faults.set([{ kind: 'status', status: 401, times: 1 }, fault])
      await post().catch(() => undefined)
      while (sandbox.tokenRequests().length === before) await new Promise((resolve) => setImmediate(resolve))
      relay.signal('SIGKILL')
      await relay.ended
      sandbox.faults.clear()
      askedBefore = sandbox.tokenRequests().length
      relay = await start()
    },
    /** Until the new process has asked, and has written down what came of it. */
    async settled() {
      for (;;) {
        const { grant } = await admin('GET', `/accounts/${ACCOUNT}`)
        if (sandbox.tokenRequests().length > askedBefore && Number(grant?.['next_refresh_in_seconds']) > 60)
          return grant!
      }
    },
  }
}

const HANGING_REFRESH = { kind: 'hang', endpoint: 'token', times: 1 } as const

t.test('killed before Pinterest did it: the next process gets the new pair with the old one', async (t) => {
  const { sandbox, killAmidRefresh, settled, post } = await setUp(t)
  await killAmidRefresh({ ...HANGING_REFRESH, isRecorded: false })
  t.match(await settled(), { status: 'valid', last_failure: null })
  t.equal((await post()).status, 200)
  t.match(sandbox.oauthStats(), { refreshes: 2, reuses: 0 })
})

t.test('killed after Pinterest did it: told at once, and events go on with the token in use', async (t) => {
  const { sandbox, killAmidRefresh, settled, post } = await setUp(t)
  await killAmidRefresh({ ...HANGING_REFRESH, isRecorded: true })
  const grant = await settled()
  t.match(grant, { status: 'reauthorize', last_failure: { reason: /used before.*earlier refresh was lost/ } })
  t.equal((await post()).status, 200, 'the access token is good for the rest of its life')
  t.match(sandbox.oauthStats(), { reuses: 1 })
})

t.test('the same, where Pinterest takes a refresh token twice: nothing happened', async (t) => {
  const { killAmidRefresh, settled, post } = await setUp(t, { reuseGraceMs: 600_000 })
  await killAmidRefresh({ ...HANGING_REFRESH, isRecorded: true })
  t.match(await settled(), { status: 'valid', last_failure: null })
  t.equal((await post()).status, 200)
})
