/** A change that was made is answered, also when the store cannot write its audit entry. */
import Fastify from 'fastify'
import t from 'tap'
import { auditChanges, auditRun } from '../../src/admin/audit.ts'
import type { AdminOptions } from '../../src/admin/options.ts'
import { consentRoutes } from '../../src/admin/consent.ts'
import { keyRoutes } from '../../src/admin/keys.ts'
import { NotFound, StoreUnavailable } from '../../src/errors.ts'
import type { AuditEntry } from '../../src/store/core/audit.ts'
import { Type } from '../../src/type.ts'
import { createManualClock } from '../support/clock.ts'

t.test('an entry that cannot be written is logged, and the answer is not lost', async (t) => {
  const logged: unknown[] = []
  const clock = createManualClock()
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void logged.push(fields) }
  const store = { addAudit: () => Promise.reject(new StoreUnavailable()) }
  const app = await serve({ store, clock, log } as unknown as AdminOptions)
  t.teardown(() => app.close())
  const answer = await app.inject({ method: 'PUT', url: '/things/7' })
  t.equal(answer.statusCode, 200)
  t.same(answer.json(), { done: true })
  t.match(logged, [{ code: 'STORE_UNAVAILABLE', route: '/things/:id' }])
})

t.test(
  'so it is with what a purge, a replay or an erasure has done; without a first entry none begins',
  async (t) => {
    const clock = createManualClock()
    const logged: unknown[] = []
    const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void logged.push(fields) }
    const schema = Type.Closed({ purged: Type.Count })
    let written = 0
    let runs = 0
    const run = async () => ({ purged: (runs += 1) })
    const store = {
      addAudit: async () => {
        if (written === 0) throw new StoreUnavailable()
        written -= 1
      },
    }
    const options = { store, clock, log } as unknown as AdminOptions
    await t.rejects(auditRun(options, 'purge', {}, schema, run), { code: 'STORE_UNAVAILABLE' })
    t.equal(runs, 0)
    written = 1
    t.same(await auditRun(options, 'purge', {}, schema, run), { purged: 1 })
    t.match(logged, [{ code: 'STORE_UNAVAILABLE', route: 'purged' }])
  },
)

t.test('a change is written down before it is answered, also one that failed half way', async (t) => {
  const entries: Omit<AuditEntry, 'id'>[] = []
  const clock = createManualClock()
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const store = { addAudit: async (entry: Omit<AuditEntry, 'id'>) => void entries.push(entry) }
  const app = await serve({ store, clock, log } as unknown as AdminOptions)
  t.teardown(() => app.close())
  await app.inject({ method: 'DELETE', url: '/things/7' })
  t.same(entries, [
    {
      atMs: clock.wallMs(),
      action: 'DELETE /things/:id',
      details: { ad_account_id: '7', key_id: undefined, status: 503 },
    },
  ])
})

t.test('a key that may have been made is written down, too', async (t) => {
  const actions: unknown[] = []
  const store = {
    addAudit: async ({ action, details }: Omit<AuditEntry, 'id'>) =>
      void actions.push([action, details['status']]),
  }
  const vault = {
    account: () => ({}),
    createKey: () => Promise.reject(new StoreUnavailable()),
  }
  const app = await serve({ store, vault, clock: createManualClock() } as unknown as AdminOptions)
  t.teardown(() => app.close())
  const asked = { method: 'POST', url: '/keys' } as const
  await app.inject({ ...asked, payload: { label: 'shop', ad_account_ids: ['1'] } })
  await app.inject({ ...asked, payload: {} })
  t.same(actions, [['POST /keys', 503]])
})

t.test('a consent that failed is written down: others may have its grant', async (t) => {
  const entries: unknown[] = []
  const store = { addAudit: async (entry: Omit<AuditEntry, 'id'>) => void entries.push(entry) }
  const app = await serve({
    store,
    clock: createManualClock(),
    vault: { account: () => ({ clientId: 'app' }) },
    sessions: { find: () => 'session' },
    settings: { PINTEREST_CONSENT_URL: 'https://consent.example/' },
    publicUrl: () => 'https://relay.example',
    granting: { useCode: () => Promise.reject(new NotFound()) },
  } as unknown as AdminOptions)
  t.teardown(() => app.close())
  const { headers } = await app.inject({ url: '/accounts/7/authorize' })
  const state = new URL(String(headers.location)).searchParams.get('state')
  await app.inject({ url: `/oauth/callback?state=${state}&code=c` })
  t.match(entries, [{ action: 'GET /oauth/callback', details: { ad_account_id: '7', status: 404 } }])
})

async function serve(options: AdminOptions) {
  const app = Fastify()
  auditChanges(app, options)
  await app.register(async (routes) => {
    routes.put('/things/:id', async () => ({ done: true }))
    routes.delete('/things/:id', async () => {
      throw new StoreUnavailable()
    })
    await keyRoutes(routes, options as Parameters<typeof keyRoutes>[1])
    await consentRoutes(routes, options as Parameters<typeof consentRoutes>[1])
  })
  return app
}
