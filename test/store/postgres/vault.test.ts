/** One vault, several replicas: no change is lost, and no refresh token is used twice. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { createSealer } from '../../../src/vault/seal.ts'
import { openVault, type Vault } from '../../../src/vault/vault.ts'
import { startPostgres } from '../../support/postgres.ts'
import { NOW_MS } from '../batches.ts'
import { layGround, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())
const masterKeys = { current: randomBytes(32) }
const PAIR = {
  accessToken: 'access-1',
  refreshToken: 'refresh-1',
  scope: 'ads:write',
  issuedAtMs: NOW_MS,
  expiresAtMs: NOW_MS + 1000,
  refreshExpiresAtMs: undefined,
}

async function openReplica(ground: PostgresGround, willCrash = false): Promise<Vault> {
  const { vaultStore } = await ground.open({ masterKeys, willCrash })
  return openVault({ vaultStore, sealer: createSealer(masterKeys), now: () => NOW_MS })
}

async function putGrant(vault: Vault): Promise<string> {
  const client = { clientId: 'app', clientSecret: 'secret' }
  await vault.putAccount({ adAccountId: '1', token: { kind: 'new_grant', grant: { client, pair: PAIR } } })
  return vault.account('1')!.grantId!
}

t.test('a change is decided on what another replica left, not on what was known', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await openReplica(ground), await openReplica(ground)]
  const grantId = await putGrant(one)
  await two.reload()
  await one.renewGrant(grantId, { ...PAIR, accessToken: 'access-2', refreshToken: 'refresh-2' })
  await two.noteGrant(grantId, { failure: { atMs: NOW_MS, reason: 'timeout', count: 1, isRefused: false } })
  await two.putAccount({ adAccountId: '1', label: 'Shop' })
  t.equal(two.pairOf(grantId)?.refreshToken, 'refresh-2')
  await one.reload()
  t.equal(one.pairOf(grantId)?.refreshToken, 'refresh-2', 'the new pair is not overwritten')
  t.match(one.account('1'), { label: 'Shop', grantId })
  t.match(one.grant(grantId)?.failure, { reason: 'timeout' })
})

t.test('changes at the same time are all kept', async (t) => {
  const ground = await layGround(t, server)
  const replicas = [await openReplica(ground), await openReplica(ground), await openReplica(ground)]
  const ids = Array.from({ length: 30 }, (_, n) => String(n))
  await Promise.all(
    ids.map((adAccountId, n) =>
      replicas[n % 3]!.putAccount({ adAccountId, token: { kind: 'given', accessToken: `token-${n}` } }),
    ),
  )
  await replicas[0]!.reload()
  t.equal(replicas[0]!.accounts().length, 30)
  await Promise.all(replicas.map((vault, n) => vault.putAccount({ adAccountId: '7', postsPerMinute: n + 1 })))
  await Promise.all(replicas.map((vault) => vault.reload()))
  t.equal(new Set(replicas.map((vault) => vault.account('7')?.postsPerMinute)).size, 1, 'they agree')
})

t.test('listeners hear which accounts another replica changed, and keys follow', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await openReplica(ground), await openReplica(ground)]
  const grantId = await putGrant(one)
  await one.putAccount({ adAccountId: '2', token: { kind: 'given', accessToken: 'token-2' } })
  await two.reload()
  const changed: string[] = []
  two.onAccountChange((adAccountId) => changed.push(adAccountId))
  await one.renewGrant(grantId, { ...PAIR, accessToken: 'access-2' })
  const { relayKey, keyId } = await one.createKey({ label: 'Shop', adAccountIds: ['1'] })
  await two.reload()
  t.same(changed, ['1'])
  t.equal(two.tokenOf('1'), 'access-2')
  t.match(two.authenticate(relayKey), { keyId })
  await one.deleteAccount('1')
  await one.deleteKey(keyId)
  await two.reload()
  t.same(changed, ['1', '1'])
  t.equal(two.account('1'), undefined)
  t.equal(two.authenticate(relayKey), undefined)
})

t.test('so it is after a failover that lost the last change', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await openReplica(ground), await openReplica(ground)]
  await putGrant(one)
  const before = await ground.ask<{ body: Buffer }>(
    "SELECT body FROM pinrelay.documents WHERE kind = 'account'",
  )
  const [version] = await ground.ask<{ version: string }>('SELECT version FROM pinrelay.vault_version')
  await one.putAccount({ adAccountId: '1', label: 'lost' })
  await ground.ask("UPDATE pinrelay.documents SET body = $1 WHERE kind = 'account'", [before[0]!.body])
  await ground.ask('UPDATE pinrelay.vault_version SET version = $1', [version!.version])
  await two.putAccount({ adAccountId: '1', label: 'kept' })
  await one.putAccount({ adAccountId: '2', token: { kind: 'given', accessToken: 'token' } })
  t.equal(one.account('1')?.label, 'kept')
})

t.test('only one replica at a time may refresh a grant, and the next one finds it renewed', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await openReplica(ground), await openReplica(ground)]
  const grantId = await putGrant(one)
  await two.reload()
  const begin = (vault: Vault) => vault.beginRefresh(grantId, undefined, NOW_MS)
  const begun = await Promise.all([begin(one), begin(two)])
  t.equal(begun.filter((one) => one === 'elsewhere').length, 1)
  const [holder, other] = begun[1] === 'elsewhere' ? [one, two] : [two, one]
  t.match(await begin(holder), { pair: { refreshToken: 'refresh-1' } }, 'it has it already')
  await holder.renewGrant(grantId, { ...PAIR, refreshToken: 'refresh-2', issuedAtMs: NOW_MS + 5 })
  await holder.unclaim(grantId)
  t.equal(await other.beginRefresh(grantId, NOW_MS, NOW_MS), 'renewed')
  t.match(await begin(other), { pair: { refreshToken: 'refresh-2' } })
})

t.test('a claim ends with its holder', async (t) => {
  const ground = await layGround(t, server)
  const one = await openReplica(ground, true)
  const grantId = await putGrant(one)
  await one.beginRefresh(grantId, undefined, NOW_MS)
  await ground.crash()
  const two = await openReplica(ground)
  t.match(await two.beginRefresh(grantId, undefined, NOW_MS), { grant: { grantId } })
})

t.test('a change fails while the database is away, and memory stays with what is committed', async (t) => {
  const ground = await layGround(t, server)
  const vault = await openReplica(ground, true)
  await vault.putAccount({
    adAccountId: '1',
    label: 'before',
    token: { kind: 'given', accessToken: 'token' },
  })
  ground.proxy.cutAnswerTo('COMMIT', 'UPDATE vault_version')
  await t.rejects(vault.putAccount({ adAccountId: '1', label: 'after' }), { code: 'STORE_UNAVAILABLE' })
  t.equal(vault.account('1')?.label, 'before')
  await vault.reload()
  t.equal(vault.account('1')?.label, 'after', 'what was committed all the same is found out')
})
