/** Pages and tables that are made from the code are as the code is. */
import t from 'tap'
import type { OpenApi } from '../../docs/generate/api.ts'
import { renderPages } from '../../docs/generate/pages.ts'
import { SettingsSchema } from '../../src/settings.ts'
import { METRICS } from '../../src/telemetry/metrics.ts'
import { enter } from '../support/relay.ts'
import { read } from './pages.ts'

/** The formatter acknowledges white space, rules of tables and escapes. */
function bare(text: string): string {
  const lines = text.split('\n').map((line) => line.replaceAll(/[\\\s*]+/g, ' ').trim())
  return lines.filter((line) => line !== '' && !/^[| -]+$/.test(line)).join('\n')
}

t.test('the generated pages are what the code says', async (t) => {
  const stand = await enter(t)
  const ask = async (path: string) => (await stand.admin('GET', path)).body as unknown as OpenApi
  const pages = renderPages({
    documents: [await ask('/openapi/public.json'), await ask('/openapi.json')],
    settings: SettingsSchema.properties,
    metrics: Object.values(METRICS),
    readPage: read,
  })
  t.ok(pages.size >= 4)
  for (const [path, text] of pages)
    t.equal(bare(read(path)), bare(text), `${path}: npm run docs writes it anew`)
})

t.test('every setting and metric says what it does', async (t) => {
  for (const [name, schema] of Object.entries(SettingsSchema.properties)) t.ok('description' in schema, name)
  for (const { name, help } of Object.values(METRICS)) t.ok(help, name)
})
