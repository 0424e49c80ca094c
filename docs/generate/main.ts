/** `npm run docs`: asks a relay of its own for what it is, and writes the generated pages. */
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings, SettingsSchema } from '../../src/settings.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { METRICS } from '../../src/telemetry/metrics.ts'
import { startRelay } from '../../src/relay.ts'
import type { OpenApi } from './api.ts'
import { renderPages } from './pages.ts'

const folder = await mkdtemp(join(tmpdir(), 'pinrelay-docs-'))
const relay = await startRelay({
  settings: readSettings({
    PORT: '0',
    ADMIN_PORT: '0',
    DRAIN_MS: '0',
    DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
  }),
  log: createLog({ level: 'silent', destination: process.stderr }),
  version: 'docs',
})
const locate = (path: string) => new URL(`../../${path}`, import.meta.url)
try {
  const ask = async (path: string) => {
    const headers = { authorization: `Bearer ${relay.adminToken}` }
    return (await (await fetch(relay.adminUrl + path, { headers })).json()) as OpenApi
  }
  const pages = renderPages({
    documents: [await ask('/openapi/public.json'), await ask('/openapi.json')],
    settings: SettingsSchema.properties,
    metrics: Object.values(METRICS),
    readPage: (path) => readFileSync(locate(path), 'utf8'),
  })
  for (const [path, text] of pages) writeFileSync(locate(path), text)
} finally {
  await relay.close()
  await rm(folder, { recursive: true })
}
