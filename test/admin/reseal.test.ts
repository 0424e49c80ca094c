/** All that is sealed moves to another master key. What it goes through are starts of a relay, which hold more besides. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'

const CLIENT = { client_id: 'app', client_secret: 'client-secret-0001' }
const MASTER_KEY = Buffer.alloc(32, 7).toString('base64')

t.test(
  'tokens, app secrets, grants and payloads move to the new master key; the old one is not needed',
  async (t) => {
    const stand = await setUp(t)
    const { admin, post, sandbox, folder } = stand
    const { refreshToken } = sandbox.grants.grant({ clientId: 'app' })
    await admin('PUT', `/accounts/${ACCOUNT}`, { oauth: { ...CLIENT, refresh_token: refreshToken } })
    await admin('PUT', '/accounts/2', { oauth: { shared_with: ACCOUNT } })
    await admin('POST', '/accounts/2/conversion-token')
    const source = { kind: 'shopify', ad_account_id: ACCOUNT, secret: 'client-secret-of-a-shop' }
    await admin('PUT', '/sources/shop', source)
    await admin('POST', `/accounts/${ACCOUNT}/pause`)
    for (let n = 0; n < 3; n++) await post({ data: [rawEvent()] }, { headers: { prefer: 'respond-async' } })

    const oldKey = Buffer.from((await readFile(join(folder, 'relay.master-key'), 'utf8')).trim(), 'base64url')
    await t.rejects(stand.restart({ MASTER_KEY }), { code: 'WRONG_MASTER_KEY' })
    await stand.restart({ MASTER_KEY, MASTER_KEY_PREVIOUS: oldKey.toString('base64') })
    // Three of the records are statistics, which the last relay left at its end.
    t.strictSame((await admin('POST', '/reseal')).body, { records: 9, payloads: 3 })
    t.strictSame((await admin('POST', '/reseal')).body, { records: 0, payloads: 0 })

    await stand.restart({ MASTER_KEY })
    await admin('POST', `/accounts/${ACCOUNT}/resume`)
    await sandbox.until(() => sandbox.conversions.summary(ACCOUNT).recorded === 3)
    t.equal(sandbox.oauthStats().refreshes, 1, 'a start needs no refresh')
    const changed = { ...CLIENT, client_secret: 'client-secret-0002' }
    t.equal((await admin('PUT', `/accounts/${ACCOUNT}`, { oauth: changed })).status, 200)
    const { entries } = (await admin('GET', '/audit')).body as { entries: { action: string }[] }
    t.equal(entries.at(-1)?.action, 'PUT /accounts/:id', 'the audit trail outlives the starts')
    for (const name of await readdir(folder)) {
      const bytes = (await readFile(join(folder, name))).toString('latin1')
      t.notMatch(bytes, /client-secret|pin[ar]_/, name)
    }
  },
)
