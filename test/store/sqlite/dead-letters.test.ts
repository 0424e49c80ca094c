/** What only SQLite's own way of keeping dead letters and batches can get wrong. */
import { randomBytes } from 'node:crypto'
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { askAll, LIVE, makeBatch, makeDead, makePost, NOW_MS, NOW_S, readTrail } from '../batches.ts'
import { layGround } from './ground.ts'

const ALL = { limit: 100, oldestEventTimeS: 0, nowMs: NOW_MS }

t.test('a filter that matches little in a long list is walked in steps, to its end', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  for (const adAccountId of ['1', '2']) {
    const { batchId } = (await first.store.commit(makeBatch([`of-${adAccountId}`], { adAccountId }))).batch!
    const acknowledgement = {
      batchId,
      delivered: [],
      dead: [makeDead(0)],
      acknowledgedAtMs: NOW_MS,
    }
    await first.store.acknowledge([acknowledgement])
  }
  await first.close()
  const db = new DatabaseSync(ground.path)
  db.exec(`
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
    INSERT INTO dead_letters (ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts,
      first_seen_at_ms, died_at_ms, size_bytes, sealed)
    SELECT ad_account_id, is_test, event_name, event_id, event_time_s, status, reason, attempts, first_seen_at_ms, died_at_ms,
      size_bytes, sealed
    FROM dead_letters, n WHERE id = 2`)
  db.close()

  const { store, close } = await ground.open()
  const query = { adAccountId: '1', limit: 100 }
  t.match(await store.deadLetters(query), [{ eventId: 'of-1' }])
  let steps = 0
  let purged = 0
  for (let beforeId: number | undefined = Number.MAX_SAFE_INTEGER; beforeId !== undefined; steps++) {
    const step = await store.purge({ ...query, beforeId })
    purged += step.purged
    beforeId = step.beforeId
  }
  t.equal(purged, 1)
  t.equal(steps, 3)
  await close()
  const after = new DatabaseSync(ground.path)
  const { left } = after.prepare('SELECT count(*) AS left FROM dead_letters').get()!
  after.close()
  t.equal(left, 12_001, 'and nobody else lost any')
})

t.test('a dead letter that no key opens is listed and purged, but not replayed', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const { batchId } = (await first.store.commit(makeBatch(['a', 'b']))).batch!
  const dead = [makeDead(0), makeDead(1)]
  await first.store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
  await first.close()
  const db = new DatabaseSync(ground.path)
  db.exec('UPDATE dead_letters SET sealed = zeroblob(90) WHERE id = 2')
  db.close()

  const problems: unknown[] = []
  const { store } = await ground.open({ onProblem: (problem) => problems.push(problem) })
  t.match(await store.deadLetters({ limit: 10 }), [{ message: '' }, { message: 'Invalid value.' }])
  t.match(await store.replay(ALL), { replayed: 1, duplicates: 0, tooOld: 0, beforeId: undefined })
  t.same(problems, [{ problem: 'dead_letter_unreadable', queue: LIVE, deadLetterId: 2 }])
  t.match(await store.totals({}), { received: 2, rejected: 1, queued: 1 })
  t.match(await store.purge({ limit: 10 }), { purged: 1 })
})

t.test('what no key opens is left as it is when an older master key is replaced', async (t) => {
  const ground = await layGround(t)
  const older = randomBytes(32)
  const first = await ground.open({ masterKeys: { current: older } })
  for (const id of ['a', 'b']) await first.store.commit(makeBatch([id]))
  await first.close()
  const broken = Buffer.alloc(90, 7)
  const db = new DatabaseSync(ground.path)
  const { batch_id: id } = db.prepare('SELECT MIN(batch_id) AS batch_id FROM batches').get()!
  db.prepare('UPDATE batches SET sealed = ? WHERE batch_id = ?').run(broken, id!)
  db.close()

  const second = await ground.open({ masterKeys: { current: randomBytes(32), previous: older } })
  t.equal(await second.store.reseal(10), 1)
  t.equal(await second.store.reseal(10), 0)
  await second.close()
  const after = new DatabaseSync(ground.path)
  t.same(after.prepare('SELECT sealed FROM batches WHERE batch_id = ?').get(id!)!['sealed'], broken)
  after.close()
})

t.test('a batch that no key opens is reported once, and stops no other from expiring', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const broken = await first.store.commit(makeBatch(['a'], { eventTimesS: [NOW_S - 200] }))
  await first.store.commit(makeBatch(['b'], { eventTimesS: [NOW_S - 100] }))
  await first.close()
  const db = new DatabaseSync(ground.path)
  db.prepare('UPDATE batches SET sealed = zeroblob(90) WHERE batch_id = ?').run(broken.batch!.batchId)
  db.close()

  const problems: unknown[] = []
  const { store } = await ground.open({ onProblem: (problem) => problems.push(problem) })
  const request = { oldestEventTimeS: NOW_S, limit: 1, nowMs: NOW_MS }
  t.match(await store.expire(request), { expired: 0, hasMore: true })
  t.match(await store.expire(request), { expired: 1 })
  t.same(problems, [{ problem: 'batch_unreadable', queue: LIVE, batchId: broken.batch?.batchId }])
  t.match(await store.totals({}), { expired: 1, queued: 1 })
})

t.test('a batch with thousands of events expires in steps of its own', async (t) => {
  const { store } = await (await layGround(t)).open()
  for (const name of ['a', 'b', 'c']) {
    const ids = Array.from({ length: 900 }, (_, n) => `${name}-${n}`)
    const { batchId } = (await store.commit(makeBatch(ids))).batch!
    await store.release([{ batchId, attempts: 0, history: [] }])
  }
  const request = { oldestEventTimeS: NOW_S + 1, limit: 100, nowMs: NOW_MS }
  t.match(await store.expire(request), { expired: 1800 }, 'two batches, and then others have their turn')
  t.match(await store.expire(request), { expired: 900 })
  t.match(await store.expire(request), { expired: 0 })
})

t.test('batch ids follow the clock, also in a fresh file that replaces a broken one', async (t) => {
  const ground = await layGround(t)
  const commit = async (nowMs: number) => {
    const { store, close } = await ground.open({ wallMs: () => nowMs })
    const { batchId } = (await store.commit(makeBatch([`event-${nowMs}`]))).batch!
    await close()
    return batchId
  }
  t.equal(await commit(NOW_MS), NOW_MS * 1000 + 1)
  for (const suffix of ['', '-wal']) rmSync(`${ground.path}${suffix}`, { force: true })
  t.equal(await commit(NOW_MS + 5), (NOW_MS + 5) * 1000 + 1)
  t.equal(
    await commit(NOW_MS - 3_600_000),
    (NOW_MS + 5) * 1000 + 2,
    'a clock that was set back gives none again',
  )
  t.ok(Number.isSafeInteger(await commit(Date.UTC(2200, 0))))
  const { store } = await ground.open({ wallMs: () => NOW_MS })
  t.equal((await store.lease(askAll())).length, 3)
})

t.test('an entry of an index that no row bears out keeps no step of expiry busy', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const { batchId } = (await first.store.commit(makeBatch(['a'], { eventTimesS: [NOW_S] }))).batch!
  await first.store.release([{ batchId, attempts: 0, history: [] }])
  await first.close()
  // The batch is old; then it goes and comes again as a young one while the index is hidden.
  const change = <Result>(act: (db: DatabaseSync) => Result): Result => {
    const db = new DatabaseSync(ground.path, { defensive: false })
    db.exec('PRAGMA writable_schema = ON')
    const result = act(db)
    db.close()
    return result
  }
  const ofIndex = "FROM sqlite_master WHERE type = 'index' AND sql LIKE '%oldest_event_time_s%'"
  const index = change((db) => {
    db.exec(`UPDATE batches SET oldest_event_time_s = ${NOW_S - 1000}`)
    const found = db.prepare(`SELECT * ${ofIndex}`).get()!
    db.exec(`DELETE ${ofIndex}`)
    return found
  })
  const row = change((db) => {
    const found = db.prepare('SELECT * FROM batches').get()!
    db.exec('DELETE FROM batches')
    db.prepare('INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)').run(...Object.values(index))
    return { ...found, oldest_event_time_s: NOW_S }
  })
  const request = { oldestEventTimeS: NOW_S - 10, nowMs: NOW_MS }
  const gone = await ground.open()
  for (const limit of [100, 1])
    t.match(await gone.store.expire({ ...request, limit }), { expired: 0, hasMore: false })
  await gone.close()
  change((db) => {
    const names = Object.keys(row)
    const places = names.map(() => '?').join()
    db.prepare(`INSERT INTO batches (${names.join()}) VALUES (${places})`).run(...Object.values(row))
  })
  const { store } = await ground.open()
  for (const limit of [100, 1])
    t.match(await store.expire({ ...request, limit }), { expired: 0, hasMore: false }, 'also of a full step')
  t.match(await store.totals({}), { queued: 1, expired: 0 })
})

t.test('erasing takes what is meant from a batch with damaged counts, and no other event', async (t) => {
  for (const damage of [
    'pending_count = 0',
    'pending_count = 1',
    'event_count = 1',
    "acknowledged = x'00', event_count = 9",
  ]) {
    const ground = await layGround(t)
    const first = await ground.open()
    const { batchId } = (await first.store.commit(makeBatch(['a', 'b', 'c']))).batch!
    await first.store.release([{ batchId, attempts: 0, history: [] }])
    await first.close()
    const db = new DatabaseSync(ground.path)
    db.exec(`UPDATE batches SET ${damage}`)
    db.close()
    const { store } = await ground.open()
    t.match(await store.erase({ eventId: 'b', nowMs: NOW_MS }), { queued: 1 }, damage)
    t.match(await store.erase({ eventId: 'b', nowMs: NOW_MS }), { queued: 0 }, damage)
    t.match(await store.totals({}), { queued: 2, filtered: 1 })
    const [leased] = await store.lease(askAll())
    t.match(leased, { eventCount: 3, acknowledged: [1] })
    t.notMatch(String(Buffer.from(leased!.payload)), '"event_id":"b"')
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    t.match(await store.totals({}), { queued: 0, delivered: 2, filtered: 1 })
    await ground.crash()
  }
})

t.test("what was found to be a customer's stays so for events that were recovered", async (t) => {
  const ground = await layGround(t)
  const post = makePost(['gone', '6505550155', 'kept'])
  const found = [{ eventId: 'gone' }, { eventId: null }, { eventId: 'kept' }] as const
  const events = post.events.map((event, n) => ({ ...event, trailIds: { orderId: undefined, ...found[n]! } }))
  const first = await ground.open()
  const { batchId } = (await first.store.commit({ ...post, events })).batch!
  await first.store.acknowledge([{ batchId, delivered: [0], dead: [], acknowledgedAtMs: NOW_MS }])
  await first.close()
  const name = 'relay.db.corrupt-20260115T120000Z'
  renameSync(ground.path, join(ground.folder, name))
  const { store, recover } = await ground.open()
  t.match(await recover(name), { events: 2 })
  t.match(await store.expire({ oldestEventTimeS: NOW_S + 1, limit: 10, nowMs: NOW_MS }), { expired: 2 })
  const dead = await store.deadLetters({ limit: 10 })
  t.same(new Set(dead.map(({ eventId }) => eventId)), new Set([undefined, 'kept']))
  t.notMatch(JSON.stringify(await readTrail(store)), '6505550155')
})
