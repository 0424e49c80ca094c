import { join } from 'node:path'
import t from 'tap'
import { openSqlite } from '../../support/stores.ts'
import { createSealer } from '../../../src/vault/seal.ts'
import { RESERVED_BYTES } from './ground.ts'

t.test('the old master key is needed until every secret of the vault is sealed anew', async (t) => {
  const path = join(t.testdir(), 'relay.db')
  const previous = Buffer.alloc(32, 1)
  const current = Buffer.alloc(32, 2)
  const seal = (key: Uint8Array) =>
    createSealer({ current: key }).seal(Buffer.from('secret'), { purpose: 'vault_client', owner: 'app' })
  const put = async (masterKeys: { current: Uint8Array; previous?: Uint8Array }, key: Uint8Array) => {
    const { vaultStore, store, close } = await openSqlite({ path, masterKeys, reservedBytes: RESERVED_BYTES })
    const document = { kind: 'client', id: 'app', body: seal(key) }
    await vaultStore.changeVault(() => [document])
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
