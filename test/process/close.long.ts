import t from 'tap'
import { LONGEST_CLOSE_MS } from '../../src/settings.ts'
import { until } from '../support/clock.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

const CLIENT = { clientId: 'app', clientSecret: 'client-secret-0001' }

t.test('a refresh that Pinterest does not answer is waited for once when the relay closes', async (t) => {
  const users = [{ name: 'anna', adAccountIds: [ACCOUNT] }]
  const { sandbox, admin, relay } = await setUp(t, {}, { oauthClients: [CLIENT], users })
  const put = (oauth: object) => admin('PUT', `/accounts/${ACCOUNT}`, { oauth })
  const client = { client_id: CLIENT.clientId, client_secret: CLIENT.clientSecret }
  const { refreshToken } = sandbox.grants.grant({ clientId: CLIENT.clientId })
  await put({ ...client, refresh_token: refreshToken })
  sandbox.faults.set([{ kind: 'hang', endpoint: 'token' }])
  put({ ...client, client_secret: 'client-secret-0002' }).catch(() => undefined)
  await until(async () => sandbox.faults.list().some(({ used }) => used > 0))
  const startedMs = performance.now()
  await relay.close()
  const tookMs = performance.now() - startedMs
  t.ok(tookMs < LONGEST_CLOSE_MS, `${tookMs} ms`)
})
