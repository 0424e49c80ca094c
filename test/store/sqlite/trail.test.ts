/** The event trail's rows: small transactions gather theirs in one that is not in the table yet, and nothing of it is lost. */
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { TRAIL_KEYS } from '../../../src/store/core/tables.ts'
import type { Store } from '../../../src/store/store.ts'
import { LIVE, makePost, NOW_MS } from '../batches.ts'
import { layGround } from './ground.ts'

const outcomesOf = async (store: Store) =>
  Object.fromEntries(
    (await store.events({ limit: 1000 })).events.map(({ eventId, outcome }) => [eventId!, outcome]),
  )

t.test(
  'posts one at a time write a row of the trail now and then, and are found after a crash',
  async (t) => {
    const ground = await layGround(t)
    const { store } = await ground.open()
    const ids = Array.from({ length: 20 }, (_, n) => `e-${n}`)
    for (const id of ids) {
      const { batchId } = (await store.commit(makePost([id]))).batch!
      if (id !== 'e-19')
        await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    }
    const wanted = Object.fromEntries(ids.map((id) => [id, id === 'e-19' ? 'queued' : 'delivered']))
    t.same(await outcomesOf(store), wanted)
    await ground.crash()
    const db = new DatabaseSync(ground.path, { readOnly: true })
    const { rows } = db.prepare('SELECT COUNT(*) AS rows FROM trail').get() as { rows: number }
    db.close()
    t.ok(rows > 0 && rows <= 10, `${rows} rows`)
    const again = (await ground.open()).store
    t.same(await outcomesOf(again), wanted)
    t.match(await again.events({ eventId: 'e-19', limit: 1 }), { events: [{ outcome: 'queued' }] })
  },
)

t.test('what a rolled back transaction said of events is not in the trail', async (t) => {
  const { store } = await (await layGround(t)).open()
  await store.commit(makePost(['a']))
  const batchId = (await store.commit(makePost(['b']))).batch!.batchId
  // Names an event that the batch does not have.
  const wrong = { batchId, delivered: [0, 7], dead: [], acknowledgedAtMs: NOW_MS }
  await t.rejects(store.acknowledge([wrong]))
  // Fails once its event was noted, and what shares its transaction.
  const results = await Promise.allSettled([
    store.acknowledge([{ ...wrong, delivered: [0] }]),
    store.commit(makePost(['c'], { eventTimesS: [1.5] })),
  ])
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  await store.commit(makePost(['d']))
  t.same(await outcomesOf(store), { a: 'queued', b: 'delivered', d: 'queued' })
  const { events } = await store.events({ eventId: 'b', limit: 1 })
  t.same(
    events[0]!.history.map(({ reason }) => reason),
    ['received', 'committed', 'delivered'],
    'said once',
  )
})

t.test('rows that a bad disk made unreadable cost nothing but themselves', async (t) => {
  const ground = await layGround(t)
  const { store, close } = await ground.open()
  await store.commit(makePost(['a']))
  await close()
  for (const text of ['[[1,{}]]', '[[1', '{}']) {
    const db = new DatabaseSync(ground.path)
    db.exec(`UPDATE totals SET open_trail = '${text}' WHERE ad_account_id = ''`)
    db.close()
    const { store: again, close } = await ground.open()
    await again.commit(makePost([`b-${text}`]))
    await again.commit(makePost([`c-${text}`]))
    t.same(await outcomesOf(again), { [`b-${text}`]: 'queued', [`c-${text}`]: 'queued' })
    await close()
  }
})

t.test('rows of a bucket follow on one another, also those that are written later', async (t) => {
  const ground = await layGround(t)
  const { store, close } = await ground.open()
  const ids = (post: number) => Array.from({ length: 13 }, (_, n) => `e-${post}-${n}`)
  const batchIds: number[] = []
  // More than a step finds, and of three buckets at least.
  for (let post = 0; post < 150; post++)
    batchIds.push((await store.commit(makePost(ids(post)))).batch!.batchId)
  for (const batchId of batchIds.slice(0, 3))
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
  await store.commit(makePost(ids(150)))
  const { events } = await store.events({ adAccountId: LIVE.adAccountId, limit: 3000 })
  t.same(
    events.map(({ eventId }) => eventId),
    Array.from({ length: 151 }, (_, post) => ids(post))
      .flat()
      .toReversed(),
  )
  t.equal(events.filter(({ outcome }) => outcome === 'delivered').length, 3 * 13)
  await close()
  const db = new DatabaseSync(ground.path, { readOnly: true })
  const rows = db.prepare(
    `SELECT bucket, seq / ${TRAIL_KEYS} AS range, seq % ${TRAIL_KEYS} AS nth FROM trail ORDER BY seq`,
  )
  const byBucket = Map.groupBy(
    rows.all() as { bucket: number; range: number; nth: number }[],
    (row) => row.bucket,
  )
  db.close()
  for (const [bucket, own] of byBucket)
    t.same(
      own.map(({ range, nth }) => [range, nth]),
      own.map((_, nth) => [bucket, nth]),
    )
})
