/** One fault costs nothing but itself: a full disk, a damaged row, a wrong operation, and what shares a transaction. */
import { DatabaseSync, StatementSync } from 'node:sqlite'
import t from 'tap'
import type { GroupReport } from '../../../src/store/engine/batcher.ts'
import { askAll, makeDead, makeBatch, NOW_MS } from '../batches.ts'
import { layGround } from './ground.ts'

t.test('commits at the same time share one transaction', async (t) => {
  const reports: GroupReport[] = []
  const { store } = await (await layGround(t)).open({ onGroup: (report) => reports.push(report) })
  await Promise.all(Array.from({ length: 100 }, (_, index) => store.commit(makeBatch([`event-${index}`]))))
  t.same(
    reports.map(({ operationCount }) => operationCount),
    [100],
  )
})

t.test(
  'a burst cannot pass the watermark: what fits is taken, the rest refused, and acknowledgements are done',
  async (t) => {
    const ground = await layGround(t)
    let groups = 0
    const storeLimitBytes = 510_000
    const { store } = await ground.open({ storeLimitBytes, onGroup: () => groups++ })
    const large = (id: string) => makeBatch([`${id}-${'x'.repeat(100_000)}`])
    const { batchId } = (await store.commit(large('first'))).batch!
    const burst = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) => store.commit(large(`${index}`))),
    )
    const taken = burst.filter(({ status }) => status === 'fulfilled').length
    t.ok(taken < 10)
    t.match(burst.at(-1), { reason: { code: 'STORE_UNAVAILABLE', cause: { code: 'STORE_UNAVAILABLE' } } })
    t.match(await store.totals({}), { received: 1 + taken, queued: 1 + taken, duplicate: 0 })
    const { usedBytes } = await store.size()
    t.ok(usedBytes <= 0.8 * storeLimitBytes, `${usedBytes}`)

    groups = 0
    const both = await Promise.allSettled([
      ...Array.from({ length: 10 }, (_, index) => store.commit(large(`${index}`))),
      store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }]),
    ])
    t.equal(
      both.at(-1)?.status,
      'fulfilled',
      'an acknowledgement does not share the fate of the commits beside it',
    )
    t.ok(both.filter(({ status }) => status === 'rejected').length >= 8, 'it makes room for its own size')
    t.equal(groups, 2, 'it, then the large commits together: none waits for another try')
    t.ok((await store.size()).usedBytes <= 0.8 * storeLimitBytes)
    t.match((await store.lease(askAll())).length, 0)
  },
)

t.test('what was refused for want of room was not seen, and is taken once there is some', async (t) => {
  const { store } = await (await layGround(t)).open({ storeLimitBytes: 600_000 })
  const large = (id: string) => makeBatch([`${id}-${'x'.repeat(60_000)}`])
  const ids: number[] = []
  let invalid: string | undefined
  while (invalid === undefined) {
    const id = `${ids.length}`
    await store.commit(large(id)).then(
      ({ batch }) => ids.push(batch!.batchId),
      () => (invalid = id),
    )
  }
  const acknowledgements = ids.map((batchId) => ({
    batchId,
    delivered: 'rest' as const,
    dead: [],
    acknowledgedAtMs: NOW_MS,
  }))
  await store.acknowledge(acknowledgements)
  t.same((await store.commit(large(invalid))).duplicates, [])
  t.match(await store.size(), { isFull: false })
})

t.test('what is rolled back was not seen, and what was there before is still known', async (t) => {
  const { store } = await (await layGround(t)).open()
  await store.commit(makeBatch(['before']))
  // SQLite takes whole seconds only: the operation fails after its event was noted.
  const broken = { eventTimesS: [1.5] }
  const results = await Promise.allSettled([
    store.commit(makeBatch(['beside'])),
    store.commit(makeBatch(['broken'], broken)),
  ])
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  const { duplicates } = await store.commit(makeBatch(['before', 'broken', 'beside', 'new']))
  t.same(duplicates, [0, 2])
})

t.test('a dead letter that finds no room does not hold up what frees some', async (t) => {
  const ground = await layGround(t)
  const { store } = await ground.open({ storeLimitBytes: 700_000 })
  const ids = Array.from({ length: 100 }, (_, index) => `dead-${index}-${'x'.repeat(500)}`)
  const doomed = await store.commit(makeBatch(ids))
  const others: number[] = []
  for (let isFull = false; !isFull;) {
    const commitment = store.commit(makeBatch([`plain-${others.length}-${'x'.repeat(20_000)}`]))
    await commitment.then(
      ({ batch }) => others.push(batch!.batchId),
      () => (isFull = true),
    )
  }
  t.ok(others.length > 5)
  const acknowledgedAtMs = NOW_MS
  const dead = ids.map((_, index) => makeDead(index))
  const burial = store.acknowledge([
    { batchId: doomed.batch!.batchId, delivered: [], dead, acknowledgedAtMs },
  ])
  const freed = others.map((batchId) =>
    store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs }]),
  )
  const totals = store.totals({})
  await Promise.all(freed)
  t.ok(await totals, 'and what only reads is answered')
  await burial
  t.match(await store.totals({}), { delivered: others.length, rejected: 100, queued: 0 })
})

t.test('an outcome that cannot be written does not hold up the end', async (t) => {
  const stop = new AbortController()
  const { store } = await (await layGround(t)).open({ signal: stop.signal })
  const { batchId } = (await store.commit(makeBatch(['a']))).batch!
  // The writer's COMMIT among others.
  const { run } = StatementSync.prototype
  StatementSync.prototype.run = () => {
    throw Object.assign(new Error('disk I/O error'), { errcode: 10 })
  }
  t.teardown(() => void (StatementSync.prototype.run = run))
  const outcome = { batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS } as const
  const acknowledged = store.acknowledge([outcome])
  await t.rejects(store.totals({}), { code: 'STORE_UNAVAILABLE' }, 'both were tried')
  stop.abort()
  await t.rejects(acknowledged, { code: 'STORE_UNAVAILABLE' })
})

t.test('a lease beside commits that fail is handed out all the same', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const { batchId } = (await first.store.commit(makeBatch(['a']))).batch!
  await first.close()
  const { store } = await ground.open({ storeLimitBytes: 200_000 })
  const leasing = store.lease(askAll())
  const large = makeBatch([`large-${'x'.repeat(400_000)}`])
  await t.rejects(store.commit(large), { code: 'STORE_UNAVAILABLE' })
  t.match(await leasing, [{ batchId }])
  t.same(await store.lease(askAll()), [])
})

t.test('an operation at fault is undone alone: its rows, its counts, its leases', async (t) => {
  const { store } = await (await layGround(t)).open()
  const { batchId } = (await store.commit(makeBatch(['a', 'b']))).batch!
  const results = await Promise.allSettled([
    store.commit(makeBatch(['c'], { adAccountId: 'new-account' })),
    // The burial of the first event is undone with the second one.
    store.acknowledge([{ batchId, delivered: [9], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }]),
    store.commit(makeBatch(['d'], { adAccountId: 'new-account' })),
    store.acknowledge([{ batchId, delivered: [1], dead: [], acknowledgedAtMs: NOW_MS }]),
  ])
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  t.same(await store.deadLetters({ limit: 10 }), [])
  t.match(await store.totals({}), { received: 4, delivered: 1, rejected: 0, queued: 3 })
  t.same(await store.lease(askAll()), [], 'the batch is still held')
  t.match(await store.backlog(), [{ events: 1 }, { adAccountId: 'new-account', batches: 2, events: 2 }])
})

t.test('what shares a transaction with a commit that fails is counted once', async (t) => {
  const { store } = await (await layGround(t)).open()
  const { batchId } = (await store.commit(makeBatch(['a', 'b']))).batch!
  const results = await Promise.allSettled([
    store.acknowledge([{ batchId, delivered: [0], dead: [makeDead(1)], acknowledgedAtMs: NOW_MS }]),
    store.commit(makeBatch(['broken'], { eventTimesS: [1.5] })),
  ])
  t.same(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  await store.commit(makeBatch(['c']))
  t.match(await store.totals({}), { received: 3, delivered: 1, rejected: 1, queued: 1 })
})

t.test('a release that fails leaves every lease of it', async (t) => {
  const { store } = await (await layGround(t)).open()
  const ids: number[] = []
  for (const id of ['a', 'b']) ids.push((await store.commit(makeBatch([id]))).batch!.batchId)
  const released = ids.map((batchId, index) => ({ batchId, attempts: index + 0.5, history: [] }))
  await t.rejects(store.release([{ ...released[0]!, attempts: 0 }, released[1]!]))
  t.same(await store.lease(askAll()), [], 'neither may be sent by somebody else')
})

t.test('a payload that no key opens is reported, kept, and does not stop those behind it', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const broken = await first.store.commit(makeBatch(['a']))
  await first.store.commit(makeBatch(['b']))
  await first.close()
  const db = new DatabaseSync(ground.path)
  db.prepare('UPDATE batches SET sealed = zeroblob(90) WHERE batch_id = ?').run(broken.batch!.batchId)
  db.close()

  const problems: unknown[] = []
  const { store } = await ground.open({ onProblem: (problem) => problems.push(problem) })
  t.equal((await store.lease(askAll({ maxEvents: 1 }))).length, 1)
  t.same(await store.lease(askAll()), [])
  t.match(problems, [{ problem: 'batch_unreadable', batchId: broken.batch?.batchId }])
  t.match(await store.backlog(), [{ batches: 2, events: 2 }])
})

t.test('a history that a bad disk damaged is forgotten, and stops neither a queue nor a list', async (t) => {
  const ground = await layGround(t)
  const first = await ground.open()
  const history = [{ atMs: NOW_MS, reason: 'status_503' }]
  for (const id of ['a', 'b', 'c']) {
    const { batchId } = (await first.store.commit(makeBatch([id]))).batch!
    if (id === 'c') {
      const dead = [makeDead(0, 'rejected', history)]
      await first.store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
    } else await first.store.release([{ batchId, attempts: 1, history }])
  }
  await first.close()
  for (const damaged of ['[[1,"status_503"', '[[1,"status_503"],null]', '{}']) {
    const db = new DatabaseSync(ground.path)
    db.prepare('UPDATE batches SET history = ? WHERE batch_id = (SELECT MIN(batch_id) FROM batches)').run(
      damaged,
    )
    db.prepare('UPDATE dead_letters SET history = ?').run(damaged)
    db.close()
    const { store, close } = await ground.open()
    const leased = await store.lease(askAll())
    t.same(
      leased.map((batch) => batch.history),
      [[], history],
      damaged,
    )
    t.match(await store.deadLetters({ limit: 9 }), [{ history: [] }])
    await close()
  }
})
