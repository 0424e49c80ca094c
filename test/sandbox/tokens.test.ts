import t from 'tap'

import { createSandbox } from '../../sandbox/sandbox.ts'
import type { Sandbox } from '../../sandbox/sandbox.ts'
import { ACCOUNT, control, post } from './post.ts'

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

await t.test('who asks for tokens, and how, is checked', async (t) => {
  const sandbox = await createSandbox({ oauthClients: [{ clientId: 'id', clientSecret: 'se:cret' }] })
  t.teardown(() => sandbox.close())
  t.equal((await exchange(sandbox, CODE, 'id:wrong')).status, 401)
  t.equal((await exchange(sandbox, { grant_type: 'password' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, { grant_type: 'refresh_token' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, { grant_type: 'authorization_code' }, 'id:se:cret')).status, 400)
  t.equal((await exchange(sandbox, CODE, 'id:se:cret')).status, 400, 'a code that nobody was given')
  const bare = await fetch(`${sandbox.url}/oauth/token`, { method: 'POST', body: new URLSearchParams(CODE) })
  t.equal(bare.status, 401)
  await bare.text()
})
