import t from 'tap'

import { createSandbox } from '../../src/sandbox/sandbox.ts'
import type { Sandbox } from '../../src/sandbox/sandbox.ts'
import { ACCOUNT, control, post } from './post.ts'

const DAY_MS = 24 * 3600 * 1000

async function exchange(
  sandbox: Sandbox,
  form: Record<string, string>,
  client = 'id:secret',
): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await fetch(`${sandbox.url}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(client).toString('base64')}` },
    body: new URLSearchParams(form),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const CODE = { grant_type: 'authorization_code', code: 'code_1', redirect_uri: 'http://127.0.0.1/' }

await t.test('tokens can be changed while it runs', async (t) => {
  const sandbox = await createSandbox()
  t.teardown(() => sandbox.close())
  const status = async (token: string) => (await post(sandbox, { token })).status
  t.equal(await status('pina_anything'), 200)
  t.equal(await status('other'), 401)

  const changed = await control(sandbox, 'PUT', 'tokens', {
    tokens: [
      { accessToken: 'one', adAccountIds: [ACCOUNT] },
      { accessToken: 'two', adAccountIds: [] },
    ],
  })
  t.equal(changed.status, 200)
  t.equal(await status('pina_anything'), 401)
  t.equal(await status('one'), 200)
  t.equal(await status('two'), 403)

  t.equal((await control(sandbox, 'PUT', 'tokens', { tokens: ['one'] })).status, 400)
  t.equal(await status('one'), 200, 'a refused list changes nothing')

  sandbox.tokens.set([], true)
  t.equal(await status('pina_anything'), 200)
  sandbox.tokens.revoke('pina_anything')
  t.equal(await status('pina_anything'), 401)
})

await t.test('an authorization code becomes tokens, once', async (t) => {
  const sandbox = await createSandbox({ tokens: [] })
  t.teardown(() => sandbox.close())
  const { status, body } = await exchange(sandbox, CODE)
  t.equal(status, 200)
  t.match(body, {
    response_type: 'authorization_code',
    token_type: 'bearer',
    expires_in: 2_592_000,
    refresh_token_expires_in: 5_184_000,
    access_token: /^pina_/,
    refresh_token: /^pinr_/,
  })
  t.equal((await post(sandbox, { token: body['access_token'] as string })).status, 200)
  t.equal((await exchange(sandbox, CODE)).status, 400)
})

await t.test('a refresh token is good once and has a successor', async (t) => {
  const clock = { nowMs: 1_760_000_000_000 }
  const sandbox = await createSandbox({ tokens: [], now: () => clock.nowMs })
  t.teardown(() => sandbox.close())
  const first = (await exchange(sandbox, CODE)).body
  const refresh = (token: unknown) =>
    exchange(sandbox, { grant_type: 'refresh_token', refresh_token: String(token), scope: 'ads:write' })

  clock.nowMs += 30 * DAY_MS
  t.equal((await post(sandbox, { token: first['access_token'] as string })).status, 401, 'expired')
  const second = await refresh(first['refresh_token'])
  t.match(second, { status: 200, body: { scope: 'ads:write', response_type: 'refresh_token' } })
  t.equal((await post(sandbox, { token: second.body['access_token'] as string })).status, 200)
  t.match(await refresh(first['refresh_token']), { status: 401, body: { message: /used before/ } })
  t.equal((await refresh(second.body['refresh_token'])).status, 200)
  t.equal((await refresh('pinr_unknown')).status, 401)

  const third = (await exchange(sandbox, { ...CODE, code: 'code_2' })).body
  clock.nowMs += 60 * DAY_MS
  t.equal((await refresh(third['refresh_token'])).status, 401, 'expired')
})

await t.test('who asks for tokens, and how, is checked', async (t) => {
  const sandbox = await createSandbox({ oauthClients: [{ clientId: 'id', clientSecret: 'se:cret' }] })
  t.teardown(() => sandbox.close())
  t.equal((await exchange(sandbox, CODE, 'id:wrong')).status, 401)
  t.equal((await exchange(sandbox, { grant_type: 'password' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, { grant_type: 'refresh_token' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, { grant_type: 'authorization_code' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, { ...CODE, code: 'stolen' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, CODE, 'id:se:cret')).status, 200)
  const bare = await fetch(`${sandbox.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(CODE) })
  t.equal(bare.status, 401)
  await bare.text()
})

await t.test('an access token mints a conversion token that outlives it', async (t) => {
  const clock = { nowMs: 0 }
  const sandbox = await createSandbox({ tokens: [], now: () => clock.nowMs })
  t.teardown(() => sandbox.close())
  const mint = async (token: unknown) => {
    const response = await fetch(`${sandbox.url}/oauth/conversion_token`, {
      method: 'POST',
      headers: { authorization: `Bearer ${String(token)}` },
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const access = (await exchange(sandbox, CODE)).body['access_token']
  const minted = await mint(access)
  t.match(minted, { status: 200, body: { token_type: 'conversion' } })
  clock.nowMs += 365 * DAY_MS
  t.equal((await mint(access)).status, 401)
  t.equal((await post(sandbox, { token: minted.body['access_token'] as string })).status, 200)
})
