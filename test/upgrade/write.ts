/**
 * `npx node test/upgrade/write.ts VERSION`, once for each release: a store with an account, a relay key and a source; an event
 * that was delivered, one that waits, and a dead letter. upgrade.test.ts opens what each release wrote.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { ACCOUNT, setUp } from '../support/relay.ts'
import { clockFrom, eventNamed, FILES, MASTER_KEY, SOURCE, WRITTEN_AT_MS } from './facts.ts'

const [version] = process.argv.slice(2)
if (version === undefined) throw new Error('usage: node test/upgrade/write.ts VERSION')
const clock = clockFrom(WRITTEN_AT_MS)
const stand = await setUp(t, { MASTER_KEY }, { now: clock.wallMs }, { clock })
await stand.admin('PUT', '/sources/web-shop', { ...SOURCE, ad_account_id: ACCOUNT })
const answers = [await stand.post({ data: [eventNamed('delivered', '4711')] })]
stand.sandbox.faults.set([{ kind: 'failEvents', message: 'no good' }])
answers.push(await stand.post({ data: [eventNamed('rejected')] }))
stand.sandbox.faults.clear()
await stand.admin('POST', `/accounts/${ACCOUNT}/pause`)
answers.push(await stand.post({ data: [eventNamed('waiting')] }, { headers: { prefer: 'respond-async' } }))
await stand.relay.close()

const folder = join(import.meta.dirname, version)
mkdirSync(folder)
assert.deepEqual(
  answers.map(({ status }) => status),
  [200, 422, 202],
)
writeFileSync(join(folder, 'relay-key'), stand.relayKey)
for (const file of FILES) {
  writeFileSync(join(folder, `${file}.gz`), gzipSync(readFileSync(join(stand.folder, file)), { level: 9 }))
}
process.exit()
