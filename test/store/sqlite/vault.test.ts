import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { openSqlite } from '../../../src/store/sqlite/open.ts'
import { VAULT_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { createSealer } from '../../../src/vault/seal.ts'
import { openVault } from '../../../src/vault/vault.ts'
import { RESERVED_BYTES } from './ground.ts'

t.test(
  'a vault of the first version keeps its accounts and keys, and is of the newest afterwards',
  async (t) => {
    const path = join(t.testdir(), 'relay.db')
    const masterKeys = { current: Buffer.alloc(32, 9) }
    const sealer = createSealer(masterKeys)
    const sealed = sealer.seal(Buffer.from('pina_old_token'), { purpose: 'access_token', owner: '7' })
    const old = new DatabaseSync(join(path, '..', 'relay.vault.db'))
    old.exec(`${VAULT_SCHEMA.steps[0]!}; PRAGMA user_version = 1`)
    old
      .prepare(`INSERT INTO accounts VALUES ('7', 'shop', 'de', 'DMY', 10, 1, ?, 'oken', 1000, 900)`)
      .run(sealed)
    old.prepare(`INSERT INTO keys VALUES ('k', 'key', '["7"]', ?, 800)`).run(Buffer.alloc(32))
    old.close()

    for (let opening = 0; opening < 2; opening++) {
      const { vaultStore, close } = await openSqlite({ path, masterKeys, reservedBytes: RESERVED_BYTES })
      const vault = await openVault({ vaultStore, sealer, now: () => 0 })
      t.match(vault.account('7'), { label: 'shop', isPaused: true, tokenKind: 'given', grantId: undefined })
      t.equal(vault.tokenOf('7'), 'pina_old_token')
      t.match(vault.keys(), [{ keyId: 'k', adAccountIds: ['7'] }])
      await close()
    }
  },
)

t.test('the old master key is needed until every secret of the vault is sealed anew', async (t) => {
  const path = join(t.testdir(), 'relay.db')
  const previous = Buffer.alloc(32, 1)
  const current = Buffer.alloc(32, 2)
  const secret = (key: Uint8Array) =>
    createSealer({ current: key }).seal(Buffer.from('secret'), { purpose: 'client_secret', owner: 'app' })
  const put = async (masterKeys: { current: Uint8Array; previous?: Uint8Array }, key: Uint8Array) => {
    const { vaultStore, store, close } = await openSqlite({ path, masterKeys, reservedBytes: RESERVED_BYTES })
    await vaultStore.changeVault({ clients: [{ clientId: 'app', sealedSecret: secret(key) }] })
    await store.reseal(10)
    await close()
  }
  await put({ current: previous }, previous)
  await put({ current, previous }, previous)
  await t.rejects(openSqlite({ path, masterKeys: { current }, reservedBytes: RESERVED_BYTES }), {
    code: 'WRONG_MASTER_KEY',
  })
  await put({ current, previous }, current)
  const { close } = await openSqlite({ path, masterKeys: { current }, reservedBytes: RESERVED_BYTES })
  await close()
})
