import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rawEvent } from '../support/events.ts'
import { postHeld, setUp } from '../support/relay.ts'
import { createCommandLine } from './stage.ts'

t.test('a backup is made while the relay runs, audited, restored, and continues where it was', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  await stand.admin('POST', `/accounts/${stand.account}/pause`)
  await postHeld(stand, 'paused', 3)
  const folder = join(stand.folder, 'backup')
  const made = await relay(`backup '${folder}'`)
  t.match(made, {
    code: 0,
    stdout: /queue\.db \(\d+ bytes\), vault\.db \(\d+ bytes\)\nThe master key is not in it/,
  })
  t.match(await stand.admin('GET', '/audit?limit=1'), { body: { entries: [{ action: 'POST /backup' }] } })
  t.match(await relay(`backup '${folder}'`), { code: 1, stderr: /answered 409: .* is not empty/ })

  const environment = { DATABASE_URL: `sqlite:${stand.folder}/new/relay.db` }
  const restore = (words = `restore '${folder}'`, more = {}) =>
    relay(words, { environment: { ...environment, ...more } })
  t.match(await restore(), {
    code: 1,
    stderr: /master key that sealed the backup is missing: set MASTER_KEY/,
  })
  t.notOk(readdirSync(stand.folder).includes('new'))
  const keyed = join(stand.folder, 'with-key')
  const told = await relay(`backup '${keyed}' --with-master-key --json`)
  t.match(JSON.parse(told.stdout), { folder: keyed, with_master_key: true, files: [{}, {}] })
  const wrong = await restore(`restore '${keyed}'`, { MASTER_KEY: Buffer.alloc(32).toString('base64') })
  t.match(wrong, { code: 1, stderr: /sealed with a master key that is neither/ })
  t.match(await restore(`restore '${keyed}'`), {
    code: 0,
    stdout: /new\/relay\.db and its vault are restored/,
  })
  t.match(await restore(`restore '${keyed}'`), { code: 1, stderr: /There is a store already/ })

  await stand.restart(environment)
  t.match((await stand.admin('GET', '/totals')).body, { received: 3, queued: 3 })
  await stand.admin('POST', `/accounts/${stand.account}/resume`)
  t.match(await stand.post({ data: [rawEvent()] }), { status: 200 })
})

t.test('a damaged queue is restored in part; PostgreSQL has tools of its own', async (t) => {
  const stand = await setUp(t)
  const relay = createCommandLine(stand)
  const folder = join(stand.folder, 'backup')
  t.match(await relay(`backup '${folder}' --with-master-key`), { stdout: /whoever has this folder can read/ })
  writeFileSync(join(folder, 'queue.db'), '')
  const environment = { DATABASE_URL: `sqlite:${stand.folder}/new/relay.db` }
  t.match(await relay(`restore '${folder}'`, { environment }), {
    code: 3,
    stdout: /The copy of the queue is damaged/,
  })
  const shared = { DATABASE_URL: 'postgres://db/relay', MASTER_KEY: Buffer.alloc(32).toString('base64') }
  t.match(await relay('restore /backup', { environment: shared }), {
    code: 1,
    stderr: /see docs\/postgres\.md/,
  })
})
