/** `npm run api-docs`: asks a relay of its own for its descriptions, and writes docs/api.md. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readConfig } from '../src/config.ts'
import { createLog } from '../src/log.ts'
import { startRelay } from '../src/relay.ts'
import { renderReference, type OpenApi } from './reference.ts'

const folder = await mkdtemp(join(tmpdir(), 'pinrelay-docs-'))
const relay = await startRelay({
  config: readConfig({
    PORT: '0',
    ADMIN_PORT: '0',
    DRAIN_MS: '0',
    DATABASE_URL: `sqlite:${join(folder, 'relay.db')}`,
  }),
  log: createLog({ level: 'silent', destination: process.stderr }),
  version: 'docs',
})
try {
  const ask = async (path: string) => {
    const headers = { authorization: `Bearer ${relay.adminToken}` }
    return (await (await fetch(relay.adminUrl + path, { headers })).json()) as OpenApi
  }
  const documents = [await ask('/openapi/public.json'), await ask('/openapi.json')]
  await writeFile(new URL('./api.md', import.meta.url), renderReference(documents))
} finally {
  await relay.close()
  await rm(folder, { recursive: true })
}
