/** What is counted in bytes where several replicas bring it. */
import { setImmediate } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { TRAIL_ROW_BYTES } from '../../../src/store/core/trail.ts'
import { TRIMMED } from '../../../src/store/core/trim.ts'
import { createCapacityCheck } from '../../../src/store/postgres/capacity.ts'
import { until } from '../../support/clock.ts'
import { startPostgres } from '../../support/postgres.ts'
import { makeDead, makeBatch, makePost, NOW_MS } from '../batches.ts'
import { layGround, type PostgresGround } from './ground.ts'

const server = await startPostgres()
t.teardown(() => server.close())

t.test('what was seen is vacuumed early', async (t) => {
  const ground = await layGround(t, server)
  await ground.open()
  const options = await ground.ask<{ reloptions: string[] | null }>(
    "SELECT reloptions FROM pg_class WHERE oid = 'pinrelay.dedupe'::regclass",
  )
  t.same(options, [{ reloptions: ['autovacuum_vacuum_scale_factor=0.02'] }])
})

t.test('what was seen is forgotten in steps, however many keys share a millisecond', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open()
  const { batchId } = (await store.commit(makeBatch(['queued']))).batch!
  await ground.ask(
    `INSERT INTO pinrelay.dedupe SELECT md5(n::text)::uuid, CASE n % 100 WHEN 0 THEN $1 ELSE 0 END, 1 + n / 700
     FROM generate_series(1, 10000) AS n`,
    [batchId],
  )
  await store.trimDedupe(1 + 9100 / 700)
  const left = await ground.ask<{ count: number }>(
    `SELECT count(*)::integer AS count FROM pinrelay.dedupe WHERE seen_at_ms < 100 GROUP BY batch_id = 0 ORDER BY 1`,
  )
  t.same(left, [{ count: 100 }, { count: 901 - 10 }], 'what is queued, and what is newer')
})

t.test('an account is over its share whichever replica took its posts, and refused by all', async (t) => {
  const ground = await layGround(t, server)
  const limit = { storeLimitBytes: 200_000 }
  const [one, two] = [await ground.open(limit), await ground.open(limit)]
  // Beside larger ones there would be room for others before it is over its share.
  const post = (adAccountId: string, n: number) => makeBatch([`${n}-${'x'.repeat(1500)}`], { adAccountId })
  for (let n = 0, isOver = false; !isOver; n++) {
    // Refused it may be before, by a count that another post crossed.
    const isTaken = await one.store.commit(post('1', n)).then(
      () => true,
      () => false,
    )
    isOver = !isTaken && (await one.store.size()).overShare.length > 0
  }
  // The other one looks at most once a second, when a post comes.
  await until(async () => (await two.store.size()).overShare.length > 0)
  t.match(await two.store.size(), { isFull: false, overShare: ['1'] })
  await t.rejects(two.store.commit(post('1', -1)), { code: 'STORE_UNAVAILABLE' })
  await t.resolves(two.store.commit(post('2', -1)))
})

t.test('what is admitted while a busy server counts stays counted until the next count', async (t) => {
  const slow = Promise.withResolvers<void>()
  const query = () => slow.promise.then(() => ({ rows: [] }) as never)
  const admission = createCapacityCheck({ query }, 1000)
  for (let n = 0; n < 3; n++) t.ok(admission.admits('1', 200))
  t.notOk(admission.admits('1', 200), 'the room for posts is 800')
  slow.resolve()
  await setImmediate()
  t.notOk(admission.admits('1', 200), 'their commits may be under way')
  t.same(await admission.state(), { isFull: false, overShare: [] })
  t.ok(admission.admits('1', 200), 'they are gone')
})

t.test(
  'replicas delete dead letters one after the other: two would both delete for the same bytes',
  async (t) => {
    const ground = await layGround(t, server)
    const { store } = await ground.open({ storeLimitBytes: 20_000 })
    const ids = ['a', 'b', 'c']
    const dead = ids.map((_, index) => ({ ...makeDead(index), message: 'x'.repeat(1000) }))
    const { batchId } = (await store.commit(makeBatch(ids))).batch!
    await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
    const other = new pg.Client(ground.url)
    await other.connect()
    t.teardown(() => other.end())
    await other.query('BEGIN')
    await other.query('SELECT pg_advisory_xact_lock($1)', [TRIMMED.dead_letters.lock])
    t.same(await store.trim({ table: 'dead_letters', beforeMs: 0, limit: 9 }), { tooOld: 0, overPart: 0 })
    await other.query('COMMIT')
    t.same(await store.trim({ table: 'dead_letters', beforeMs: 0, limit: 9 }), { tooOld: 0, overPart: 2 })
    t.match(await store.deadLetters({ limit: 9 }), [{ eventId: 'c' }])
  },
)

t.test('a trim writes nothing where nothing has to go, and passes over what others delete', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open({ storeLimitBytes: 20_000 })
  const ids = ['a', 'b', 'c', 'd']
  const dead = ids.map((_, index) => ({ ...makeDead(index), message: 'x'.repeat(1000) }))
  const { batchId } = (await store.commit(makePost(ids))).batch!
  await store.acknowledge([{ batchId, delivered: [], dead: dead.slice(0, 1), acknowledgedAtMs: NOW_MS }])
  for (const table of ['dead_letters', 'trail'] as const) {
    t.same(await store.trim({ table, beforeMs: 1, limit: 9 }), { tooOld: 0, overPart: 0 })
    const locked = await ground.ask<{ xmax: string }>(`SELECT xmax::text FROM pinrelay.${table}`)
    t.ok(locked.length > 0 && locked.every(({ xmax }) => xmax === '0'), table)
  }
  await store.acknowledge([{ batchId, delivered: [], dead: dead.slice(1), acknowledgedAtMs: NOW_MS }])
  const purging = new pg.Client(ground.url)
  await purging.connect()
  t.teardown(() => purging.end())
  await purging.query('BEGIN')
  await purging.query("DELETE FROM pinrelay.dead_letters WHERE event_id IN ('a', 'b')")
  t.same(await store.trim({ table: 'dead_letters', beforeMs: 0, limit: 9 }), { tooOld: 0, overPart: 1 })
  await purging.query('ROLLBACK')
  t.match(await store.size(), await heldBytes(ground))
  t.match(await store.deadLetters({ limit: 9 }), [{ eventId: 'd' }, { eventId: 'b' }, { eventId: 'a' }])
})

t.test('bytes stay right where replicas trim, purge, replay and erase at once', async (t) => {
  const ground = await layGround(t, server)
  const limits = { storeLimitBytes: 200_000 }
  const [one, two] = [(await ground.open(limits)).store, (await ground.open(limits)).store]
  for (let round = 0; round < 5; round++) {
    const ids = Array.from({ length: 60 }, (_, nth) => `${round}-${nth}`)
    for (const store of [one, two]) {
      const { batchId } = (await store.commit(makePost(ids.map((id) => `${store === one}-${id}`)))).batch!
      const dead = ids.map((_, index) => ({ ...makeDead(index), message: 'x'.repeat(1000) }))
      await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS + round }])
    }
    await Promise.all([
      ...[one, two].flatMap((store) => [
        store.trim({ table: 'dead_letters', beforeMs: NOW_MS + round, limit: 30 }),
        store.trim({ table: 'trail', beforeMs: 0, limit: 30 }),
      ]),
      one.purge({ limit: 10 }),
      two.replay({ limit: 10, nowMs: NOW_MS, oldestEventTimeS: 0 }),
      two.erase({ eventId: `true-${round}-30`, nowMs: NOW_MS }),
      one.trim({ table: 'dead_letters', beforeMs: NOW_MS + round, limit: 30 }),
    ])
  }
  t.match(await one.size(), await heldBytes(ground))
})

t.test('what was purged in the same transaction need not be deleted for room', async (t) => {
  const ground = await layGround(t, server)
  const { store } = await ground.open({ storeLimitBytes: 20_000 })
  const ids = ['a', 'b']
  const dead = ids.map((_, index) => ({ ...makeDead(index), message: 'x'.repeat(1000) }))
  const { batchId } = (await store.commit(makeBatch(ids))).batch!
  await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
  const [newest] = await store.deadLetters({ limit: 1 })
  const [, step] = await Promise.all([
    store.purge({ ids: [newest!.id], limit: 1 }),
    store.trim({ table: 'dead_letters', beforeMs: 0, limit: 9 }),
  ])
  t.same(step, { tooOld: 0, overPart: 0 })
  t.match(await store.deadLetters({ limit: 9 }), [{ eventId: 'a' }])
})

t.test('a step of trimming keeps to its limit, whatever plan the server chooses', async (t) => {
  const ground = await layGround(t, server)
  const { pathname } = new URL(ground.url)
  for (const way of ['hashagg', 'hashjoin', 'mergejoin', 'material', 'sort']) {
    await ground.ask(`ALTER DATABASE "${pathname.slice(1)}" SET enable_${way} = off`)
  }
  const { store } = await ground.open()
  const ids = ['a', 'b', 'c', 'd', 'e']
  const { batchId } = (await store.commit(makeBatch(ids))).batch!
  const dead = ids.map((_, index) => makeDead(index))
  await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
  t.match(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 1, limit: 2 }), { tooOld: 2 })
})

/** As the rows have them. */
async function heldBytes(ground: PostgresGround): Promise<object> {
  const [held] = await ground.ask<object>(
    `SELECT (SELECT SUM(size_bytes) FROM pinrelay.dead_letters)::integer AS "deadLetterBytes",
       (SELECT SUM(octet_length(ids) + octet_length(entries) + ${TRAIL_ROW_BYTES}) FROM pinrelay.trail)::integer AS "trailBytes"`,
  )
  return held!
}
