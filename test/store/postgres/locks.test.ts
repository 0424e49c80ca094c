/** A transaction of somebody else's that keeps rows locked, as an operator's that was left open: it costs what needs these rows. */
import pg from 'pg'
import t, { type Test } from 'tap'
import { startPostgres } from '../../support/postgres.ts'
import { makeBatch, makeDead, NOW_MS, NOW_S } from '../batches.ts'
import { layGround, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

/** What waits for a lock waits for 400 ms. */
const STILL = { heartbeatMs: 3_600_000, leaseMs: 3_600_000, commitStatementMs: 480 }
const whole = (batchId: number) => [
  { batchId, delivered: 'rest' as const, dead: [], acknowledgedAtMs: NOW_MS },
]

/** Answers what ends the transaction. */
async function lock(t: Test, { url }: PostgresGround, ...rows: string[]): Promise<() => Promise<unknown>> {
  const operator = new pg.Client({ connectionString: url })
  await operator.connect()
  t.teardown(() => operator.end())
  await operator.query('BEGIN')
  for (const of of rows) await operator.query(`SELECT FROM pinrelay.${of} FOR UPDATE`)
  return () => operator.query('ROLLBACK')
}

/** How often a lock was waited for in vain. */
function countTimeouts(t: Test, { url }: PostgresGround): () => number {
  const { query } = pg.Client.prototype
  t.teardown(() => void (pg.Client.prototype.query = query))
  const database = new URL(url).pathname.slice(1)
  let timeouts = 0
  pg.Client.prototype.query = function counted(this: pg.Client, ...values: unknown[]) {
    const answer = Reflect.apply(query, this, values) as unknown as Promise<unknown>
    return answer.catch((error: unknown) => {
      if (this.database === database && (error as { readonly code?: string }).code === '55P03') timeouts += 1
      throw error
    }) as never
  }
  return () => timeouts
}

t.test('a batch that is locked holds up its own outcome; the lock is waited for once', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const ids = []
  for (const id of ['a', 'b', 'c']) ids.push((await store.commit(makeBatch([id]))).batch!.batchId)
  const unlock = await lock(t, ground, `batches WHERE batch_id = ${ids[0]}`)
  const timeouts = countTimeouts(t, ground)
  const put = { isOff: true }
  const acknowledged = Promise.all([
    store.acknowledge([{ batchId: ids[0]!, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }]),
    // Of the same batch: it must not overtake the one before.
    store.acknowledge(whole(ids[0]!)),
  ]).finally(() => (put.isOff = false))
  await Promise.all([store.commit(makeBatch(['d'])), store.acknowledge(whole(ids[1]!))])
  for (const id of ['e', 'f']) t.ok((await store.commit(makeBatch([id]))).batch)
  await store.release([{ batchId: ids[2]!, attempts: 1, history: [] }])
  t.equal(timeouts(), 1)
  t.ok(put.isOff)
  t.match(await store.totals({}), { received: 6, delivered: 1, queued: 5 })
  await unlock()
  await acknowledged
  t.match(await store.totals({}), { received: 6, delivered: 1, rejected: 1, queued: 4 })
})

t.test('counters that are locked hold up nothing, and add up when their replica has ended', async (t) => {
  const ground = await layGround(t, server)
  const one = await ground.open(STILL)
  const { batchId } = (await one.store.commit(makeBatch(['a']))).batch!
  const unlock = await lock(t, ground, 'totals')
  const timeouts = countTimeouts(t, ground)
  await Promise.all([
    one.store.commit(makeBatch(['b'])),
    one.store.countInvalid(makeBatch([], { invalidCount: 3 })),
  ])
  await one.store.acknowledge(whole(batchId))
  t.equal(timeouts(), 1)
  const totals = { received: 2, delivered: 1, queued: 1, invalid: 3 }
  t.match(await one.store.totals({}), totals)
  await unlock()
  await one.close()
  const two = await ground.open(STILL)
  t.match(await two.store.totals({}), totals)
  t.same(await ground.ask('SELECT DISTINCT owner_id FROM pinrelay.totals'), [{ owner_id: '0' }])
})

t.test('what an operator asks for fails alone where a row of it is locked', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open(STILL)
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  await store.acknowledge([{ batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }])
  const unlock = await lock(t, ground, 'dead_letters')
  const purge = { limit: 10, nowMs: NOW_MS, oldestEventTimeS: NOW_S - 10 }
  const [purged, committed, replayed] = await Promise.allSettled([
    store.purge(purge),
    store.commit(makeBatch(['b'])),
    store.replay(purge),
  ])
  t.match(purged, { status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } })
  t.match(committed, { status: 'fulfilled' })
  t.match(replayed, { status: 'rejected', reason: { code: 'STORE_UNAVAILABLE' } })
  await unlock()
  t.match(await store.purge(purge), { purged: 1 })
})
