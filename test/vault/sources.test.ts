import t from 'tap'
import { OPTIONS } from '../sources/options.ts'
import { setStage } from './stage.ts'

const SETTINGS = { adAccountId: '1', label: '', bots: undefined, options: OPTIONS }
const SOURCE = { sourceId: 'shop', settings: () => SETTINGS, dropsPreviousSecret: false }

t.test('a source is sealed with its secrets, kept, and sealed again with the rest', async (t) => {
  const stage = await setStage()
  t.equal(await stage.vault.putSource({ ...SOURCE, secret: undefined }), 'secret_missing')
  t.equal(await stage.vault.putSource({ ...SOURCE, secret: 'the-first-secret' }), 'added')
  t.equal(
    await stage.vault.putSource({
      ...SOURCE,
      secret: 'the-second-secret',
      settings: () => ({ ...SETTINGS, label: 'x' }),
    }),
    'replaced',
  )
  t.same(stage.vault.secretsOf('shop'), ['the-second-secret', 'the-first-secret'])
  t.match(stage.vault.sources(), [{ sourceId: 'shop', label: 'x' }])
  // The same secret again rotates nothing.
  await stage.vault.putSource({ ...SOURCE, secret: 'the-second-secret' })
  t.same(stage.vault.secretsOf('shop'), ['the-second-secret', 'the-first-secret'])
  await stage.vault.putSource({ ...SOURCE, secret: 'the-third-secret', dropsPreviousSecret: true })
  t.same(stage.vault.secretsOf('shop'), ['the-third-secret'])
  t.ok(await stage.vault.deleteSource('shop'))
  t.notOk(await stage.vault.deleteSource('shop'))
  t.equal(stage.vault.source('shop'), undefined)
})
