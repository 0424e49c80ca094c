/** Through PgBouncer as Debian ships it, with both ways of pooling that a relay can live with. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { openPostgres, type OpenedPostgres } from '../../support/stores.ts'
import { until } from '../../support/clock.ts'
import { askAll, makeBatch, NOW_MS } from '../batches.ts'
import { pgBouncerMissing, shareCluster, startPgBouncer } from './cluster.ts'
import { followNews } from './ground.ts'

const skip = pgBouncerMissing()
// Nobody asks for it where all is skipped.
const cluster = skip ? (undefined as never) : await shareCluster()

const masterKeys = { current: randomBytes(32) }
const queue = { adAccountId: '1', isTest: false }

async function open(t: Test, url: string): Promise<OpenedPostgres> {
  const opened = await openPostgres({ url, masterKeys, feedPollMs: 20 })
  t.teardown(() => opened.close())
  return opened
}

for (const poolMode of ['session', 'transaction'] as const) {
  void t.test(`two relays through PgBouncer, ${poolMode} pooling`, { skip }, async (t) => {
    const database = await cluster.createDatabase()
    await cluster.ask(`ALTER DATABASE ${database} SET default_transaction_isolation = 'serializable'`)
    const url = await startPgBouncer(t, cluster, poolMode, database)

    // What another application leaves in a session that is handed on must not matter.
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query(
      `SET search_path = public; SET statement_timeout = '1d'; SET client_min_messages = error`,
    )
    await other.end()

    const [one, two] = [await open(t, url), await open(t, url)]
    const news = await followNews(two, one)
    const { batchId } = (await one.store.commit(makeBatch(['a', 'b']))).batch!
    t.match(await two.store.commit(makeBatch(['a'])), { batch: undefined, pendingDuplicates: 1 })
    await one.store.release([{ batchId, attempts: 0, history: [] }])
    const leased = await two.store.lease(askAll())
    t.equal(leased.length, 1)
    await two.store.acknowledge([
      { batchId: leased[0]!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
    t.match(await one.store.totals({}), { received: 3, delivered: 2, queued: 0, duplicate: 1 })
    const document = { kind: 'key', id: '1', body: Buffer.alloc(32) }
    await one.vaultStore.changeVault(() => [document])
    t.equal((await two.vaultStore.readVault()).length, 1)
    const tokens = { capacity: 9, refillPerMinute: 9, wanted: 1, holding: 0, unused: 0 }
    const exchanges = Array.from({ length: 24 }, (_, n) =>
      (n % 2 ? one : two).shared.exchange([{ kind: 'post_limiter', adAccountId: '1', ...tokens }]),
    )
    const granted = (await Promise.all(exchanges)).reduce((sum, [grant]) => sum + grant!.granted, 0)
    t.ok(granted >= tokens.capacity, 'who comes at once waits, and does not fail')
    t.equal(await one.shared.replicas(), 2)
    await one.shared.putBreaker(queue, { status: 'open', reason: 'paused', forMs: undefined })
    await until(() => news.some(({ kind }) => kind === 'breaker'))
    t.match(
      news.find(({ kind }) => kind === 'breaker'),
      { queue },
    )

    const tables = await cluster.ask<{ schema: string }>(
      `SELECT DISTINCT schemaname::text AS schema FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
      database,
    )
    t.strictSame(tables, [{ schema: 'pinrelay' }])
  })
}

void t.test('what a session left off is refused, whoever left it so', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  const url = await startPgBouncer(t, cluster, 'transaction', database)
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  await other.query('SET synchronous_commit = off')
  await other.end()
  await t.rejects(open(t, url), { code: 'STORE_CANNOT_OPEN', message: /synchronous_commit = off/ })
})

void t.test('pooling by statement is refused with its reason', { skip }, async (t) => {
  const database = await cluster.createDatabase()
  const url = await startPgBouncer(t, cluster, 'statement', database)
  await t.rejects(open(t, url), { code: 'STORE_CANNOT_OPEN', message: /statement pooling/ })
})
