/** What is counted in bytes in a file that others share. */
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { createRunner } from '../../../src/store/sqlite/run.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { createTotals } from '../../../src/store/sqlite/queue-tables.ts'
import { LIVE, makeDead, makeBatch, makePost, NOW_MS } from '../batches.ts'
import { layGround } from './ground.ts'

t.test('the bytes of what is queued and of dead letters are known after a restart', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  for (const adAccountId of ['1', '2']) {
    const { batchId } = (await first.store.commit(makeBatch(['a', 'b', 'c'], { adAccountId }))).batch!
    const dead = [makeDead(0), makeDead(1)]
    await first.store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
  }
  const { queuedBytes, deadLetterBytes } = await first.store.size()
  t.ok(queuedBytes > 0 && deadLetterBytes > 0)
  await first.close()
  const { store } = await ground.open()
  t.match(await store.size(), { queuedBytes, deadLetterBytes })
  t.match(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 1, limit: 9 }), { tooOld: 4 })
  t.match(await store.size(), { deadLetterBytes: 0 })
})

t.test('bytes of a transaction that is rolled back do not count, also where they were written', async (t) => {
  using db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.tables)
  const totals = createTotals(createRunner(db))
  totals.count(LIVE, { bytes: 7 })
  t.match(totals.sizes(), { queuedBytes: 7 })
  totals.take()
  t.match(totals.sizes(), { queuedBytes: 7 })
  totals.forget()
  t.match(totals.sizes(), { queuedBytes: 0 })
})

t.test('the bytes of the event trail are known', async (t) => {
  const { store } = await (await layGround(t)).open()
  t.match(await store.size(), { trailBytes: 0 })
  await store.commit(makePost(Array.from({ length: 50 }, (_, n) => `e-${n}`)))
  t.ok((await store.size()).trailBytes > 200)
  await store.trim({ table: 'trail', beforeMs: NOW_MS + 1, limit: 9 })
  t.match(await store.size(), { trailBytes: 0 })
})

t.test('one account alone does not fill a small store, whatever its WAL has grown to', async (t) => {
  const { store } = await (await layGround(t)).open({ storeLimitBytes: 1024 ** 2 })
  const ids: number[] = []
  const fill = async (serial: number): Promise<boolean> =>
    store.commit(makeBatch([`${serial}-${'x'.repeat(1500)}`, `${serial}`])).then(
      ({ batch }) => ids.push(batch!.batchId) > 0,
      () => false,
    )
  while (await fill(ids.length));
  // One transaction that changes the page of nearly every batch, and frees none.
  const one = { delivered: [0], dead: [], acknowledgedAtMs: NOW_MS }
  await store.acknowledge(ids.map((batchId) => ({ ...one, batchId })))
  t.match(await store.size(), { isFull: false })
  await t.resolves(store.commit(makeBatch(['other'], { adAccountId: '2' })))
})

t.test('dead letters take none of the room that posts have', async (t) => {
  const ground = await layGround(t)
  const storeLimitBytes = 2_000_000
  let serial = 0
  /** Posts until the store has no room. In a file that was just opened: a WAL takes more or less of it. */
  const fill = async () => {
    const { store, close } = await ground.open({ storeLimitBytes })
    const ids: number[] = []
    for (let isRefused = false; !isRefused;) {
      const batch = makeBatch([`${serial++}-${'x'.repeat(10_000)}`])
      await store.commit(batch).then(
        ({ batch }) => ids.push(batch!.batchId),
        () => (isRefused = true),
      )
    }
    const acknowledgedAtMs = NOW_MS
    await store.acknowledge(
      ids.map((batchId) => ({ batchId, delivered: 'rest', dead: [], acknowledgedAtMs })),
    )
    await close()
    return ids.length
  }
  const before = await fill()
  const { store, close } = await ground.open({ storeLimitBytes })
  for (let round = 0; round < 4; round++) {
    const ids = Array.from({ length: 40 }, (_, n) => `dead-${round}-${n}-${'x'.repeat(480)}`)
    const { batchId } = (await store.commit(makeBatch(ids))).batch!
    const dead = ids.map((_, index) => makeDead(index))
    await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
  }
  t.ok((await store.size()).deadLetterBytes > 190_000, 'their part is full')
  await close()
  const after = await fill()
  t.ok(after > 0.96 * before, `${after} of ${before}`)
})
