import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readSettings } from '../../src/settings.ts'
import { findMasterKeys } from '../../src/store/open-store.ts'

for (const [queue, there] of [
  ['relay.db', 'relay.vault.db'],
  ['relay.sqlite', 'relay.vault.sqlite'],
  ['relay.db', 'relay.db'],
] as const) {
  t.test(`store ${queue}: no new master key is made where ${there} is there`, async (t) => {
    const folder = t.testdir()
    const settings = readSettings({ DATABASE_URL: `sqlite:${join(folder, queue)}` })
    writeFileSync(join(folder, there), '')
    await t.rejects(findMasterKeys(settings), {
      code: 'BAD_SETTINGS',
      message: /relay\.master-key is missing/,
    })
    t.strictSame(readdirSync(folder), [there])
  })
}

t.test('a new store gets one', async (t) => {
  const path = join(t.testdir(), 'relay.db')
  const { current } = await findMasterKeys(readSettings({ DATABASE_URL: `sqlite:${path}` }))
  t.equal(current.byteLength, 32)
  t.ok(existsSync(join(path, '..', 'relay.master-key')))
})

t.test('a folder in place of the file is named as such, and nothing is made beside it', async (t) => {
  const folder = t.testdir({ data: {} })
  const DATABASE_URL = `sqlite:${join(folder, 'data')}`
  for (const secrets of [{}, { MASTER_KEY: randomBytes(32).toString('base64') }])
    await t.rejects(findMasterKeys(readSettings({ DATABASE_URL, ...secrets })), {
      code: 'BAD_SETTINGS',
      message: /data is a folder; name a file in it/,
    })
  t.strictSame(readdirSync(folder), ['data'])
})

t.test('a place where no folder can be made is named, and does not hang the start', async (t) => {
  const settings = readSettings({ DATABASE_URL: 'sqlite:/proc/pinrelay/data/relay.db' })
  await t.rejects(findMasterKeys(settings), {
    code: 'BAD_SETTINGS',
    message: /^\/proc\/pinrelay\/data\/relay\.master-key cannot be made/,
  })
})
