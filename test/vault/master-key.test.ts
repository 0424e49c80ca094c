import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { loadOrMakeMasterKey, loadOrMakeSecretFile, parseMasterKey } from '../../src/vault/master-key.ts'

const BAD_SETTINGS = { code: 'BAD_SETTINGS' }

t.test('a master key is 32 bytes in base64 of either alphabet', async (t) => {
  const key = Buffer.from('fb'.repeat(32), 'hex')
  for (const text of [key.toString('base64'), key.toString('base64url'), ` ${key.toString('base64')}\n`]) {
    t.same(parseMasterKey('MASTER_KEY', text), key)
  }
})

t.test('anything else is refused by the name of the setting, without its value', async (t) => {
  const values = {
    'too short': randomBytes(31).toString('base64'),
    'too long': randomBytes(33).toString('base64'),
    hex: randomBytes(32).toString('hex'),
    'not base64': `${'s3cret!'.repeat(6)}x`,
    empty: '',
  }
  for (const [what, value] of Object.entries(values)) {
    try {
      parseMasterKey('MASTER_KEY_PREVIOUS', value)
      t.fail(what)
    } catch (error) {
      t.match(error, { ...BAD_SETTINGS, message: /^MASTER_KEY_PREVIOUS must be 32 bytes in base64/ }, what)
      t.notOk(value !== '' && String(error).includes(value))
    }
  }
})

t.test('a master key is made once, private, and then stays', async (t) => {
  const folder = join(t.testdir(), 'made', 'too')
  const path = join(folder, 'master-key')
  const key = await loadOrMakeMasterKey(path)
  t.equal(key.byteLength, 32)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(readdirSync(folder), ['master-key'], 'nothing else is left')
  t.same(await loadOrMakeMasterKey(path), key)
  t.same(parseMasterKey('MASTER_KEY', readFileSync(path, 'utf8')), key, 'and can become the setting as it is')
})

t.test('starts at the same time agree on one secret', async (t) => {
  const folder = t.testdir()
  for (let round = 0; round < 5; round++) {
    const path = join(folder, `admin-token-${round}`)
    const secrets = await Promise.all(
      Array.from({ length: 20 }, async (_, turns) => {
        for (let turn = 0; turn < turns; turn++) await setImmediate()
        return loadOrMakeSecretFile(path, 24)
      }),
    )
    t.equal(new Set(secrets).size, 1)
    t.match(secrets[0], /^[A-Za-z0-9_-]{32}$/)
  }
})

t.test('a secret that is there is never replaced, whatever it is', async (t) => {
  const path = join(t.testdir({ secret: '', key: 'not a key' }), 'secret')
  chmodSync(path, 0o600)
  await t.rejects(loadOrMakeSecretFile(path, 32), { ...BAD_SETTINGS, message: /is empty/ })
  t.equal(readFileSync(path, 'utf8'), '')
  const key = join(path, '..', 'key')
  chmodSync(key, 0o600)
  await t.rejects(loadOrMakeMasterKey(key), {
    ...BAD_SETTINGS,
    message: /^The master key file .* must be 32 bytes/,
  })
  t.equal(readFileSync(key, 'utf8'), 'not a key')
})

t.test('a secret that everyone may read is refused; a group may have it', async (t) => {
  const path = join(t.testdir(), 'secret')
  writeFileSync(path, 'hush\n')
  chmodSync(path, 0o644)
  await t.rejects(loadOrMakeSecretFile(path, 32), { ...BAD_SETTINGS, message: /chmod 600/ })
  chmodSync(path, 0o660)
  t.equal(await loadOrMakeSecretFile(path, 32), 'hush')
})

t.test('what cannot be read or made is named by its path', async (t) => {
  const folder = t.testdir({ file: 'x' })
  mkdirSync(join(folder, 'folder'))
  await t.rejects(loadOrMakeSecretFile(join(folder, 'file', 'secret'), 32), {
    ...BAD_SETTINGS,
    message: /secret/,
  })
  await t.rejects(loadOrMakeSecretFile(join(folder, 'folder'), 32), BAD_SETTINGS)
})
