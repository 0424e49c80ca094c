/**
 * What every store promises, as tests that run over any implementation. A ground is a place for one store that can be
 * opened, closed and opened again.
 */
import { createCompressor, dedupeKeys } from '../../src/store/core/sealed.ts'
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { splitEvents } from '../../src/store/payload.ts'
import {
  HISTORY_LIMIT,
  type Totals,
  type DeadEvent,
  type LeasedBatch,
  type NewBatch,
  type ReplayRequest,
  type ExpireStep,
  type ReplayStep,
  type Store,
} from '../../src/store/store.ts'
import type { MasterKeys } from '../../src/vault/seal.ts'
import type { VaultDocument, VaultStore } from '../../src/vault/vault-store.ts'
import { testTrail } from './trail.ts'
import { askAll, LIVE, makeDead, makeEvent, makeBatch, NOW_MS, NOW_S, TEST } from '../store/batches.ts'

export interface OpenedStore {
  readonly store: Store
  readonly vaultStore: VaultStore
  close(): Promise<void>
}

export interface OpenOptions {
  readonly masterKeys?: MasterKeys
  readonly storeLimitBytes?: number
  readonly wallMs?: () => number
  /** `crash` may follow. */
  readonly willCrash?: boolean
}

export interface Ground {
  /** What is open is closed before `layGround`'s test ends. */
  open(options?: OpenOptions): Promise<OpenedStore>
  /**
   * The open store dies as in a power cut, with all that was not synced; the next opening finds what is left. What was
   * asked for while the call was under way may be in it or not. Resolves when nothing of the old one can change it.
   */
  crash(): Promise<void>
}

export type LayGround = (t: Test) => Promise<Ground>

const NO_TOTALS: Totals = {
  received: 0,
  delivered: 0,
  rejected: 0,
  expired: 0,
  filtered: 0,
  queued: 0,
  duplicate: 0,
  invalid: 0,
}
const HOUR_MS = 3_600_000

export function testStore(t: Test, layGround: LayGround): void {
  testCommits(t, layGround)
  testDedupe(t, layGround)
  testAcknowledgements(t, layGround)
  testLeases(t, layGround)
  testDeadLetters(t, layGround)
  testReplay(t, layGround)
  testPurge(t, layGround)
  testExpiry(t, layGround)
  testAudit(t, layGround)
  testCrash(t, layGround)
  testKeys(t, layGround)
  testVault(t, layGround)
  testTrim(t, layGround)
  testShares(t, layGround)
  testTrail(t, layGround)
}

function testCommits(t: Test, layGround: LayGround): void {
  t.test('a committed batch is there after a restart, byte for byte', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const batch = makeBatch(['a', 'b'], { eventTimesS: [NOW_S, NOW_S - 5], invalidCount: 3 })
    const receipt = await first.store.commit(batch)
    t.same(receipt.duplicates, [])
    await first.close()

    const { store } = await ground.open()
    const [leased] = await store.lease(askAll())
    t.match(leased, {
      ...LIVE,
      batchId: receipt.batch?.batchId,
      eventCount: 2,
      acknowledged: [],
      oldestEventTimeS: NOW_S - 5,
      receivedAtMs: NOW_MS,
      attempts: 0,
    })
    t.same(Buffer.from(leased!.payload), Buffer.from(batch.payload))
    t.same(await store.backlog(), [{ ...LIVE, batches: 1, events: 2, oldestEventTimeS: NOW_S - 5 }])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 2, queued: 2, invalid: 3 })
  })

  t.test(
    'filtered events are received and counted, with events beside them or without, also by a crash',
    async (t) => {
      const ground = await layGround(t)
      const { store } = await ground.open({ willCrash: true })
      const [beside, alone, twice] = await Promise.all([
        store.commit(makeBatch(['a'], { filteredCount: 2, invalidCount: 1 })),
        store.commit(makeBatch([], { filteredCount: 3 })),
        store.commit(makeBatch([], { isTest: true, filteredCount: 1 })),
      ])
      t.equal(beside.batch?.eventCount, 1)
      for (const receipt of [alone, twice])
        t.same(receipt, { batch: undefined, duplicates: [], pendingDuplicates: 0 })
      const again = await store.commit(makeBatch(['a'], { filteredCount: 2 }))
      t.same(again.duplicates, [0], 'a post that comes again')
      const wanted = { ...NO_TOTALS, received: 9, filtered: 7, queued: 1, duplicate: 1, invalid: 1 }
      t.same(await store.totals({ ...LIVE }), wanted)
      await ground.crash()
      const after = (await ground.open()).store
      t.same(await after.totals({ ...LIVE }), wanted)
      t.same(await after.totals({ ...TEST }), { ...NO_TOTALS, received: 1, filtered: 1 })
      t.same((await after.lease(askAll())).map(idOf), ['a'])
      t.same(await after.backlog(), [{ ...LIVE, batches: 1, events: 1, oldestEventTimeS: NOW_S }])
    },
  )

  t.test('a payload that was compressed before its commit is whole for everyone who reads it', async (t) => {
    const ground = await layGround(t)
    const older: MasterKeys = { current: randomBytes(32) }
    const masterKeys: MasterKeys = { current: randomBytes(32), previous: older.current }
    const first = await ground.open({ masterKeys: older })
    const commit = async (ids: readonly string[], eventTimesS: readonly number[] = []) => {
      const batch = makeBatch(ids, { eventTimesS })
      return first.store.commit({ ...batch, compressed: await createCompressor()(batch.payload) })
    }
    const whole = await commit(['a', 'b', 'c', 'd'], [NOW_S, NOW_S, NOW_S, NOW_S - 11])
    t.same(eventsOf(whole.batch!).length, 4)
    const rest = await commit(['d', 'e'])
    t.same(eventsOf(rest.batch!), [makeEvent('e')], 'a duplicate is not stored')
    await first.close()

    const { store } = await ground.open({ masterKeys })
    t.equal(await store.reseal(10), 2)
    t.match(await store.expire({ oldestEventTimeS: NOW_S - 10, nowMs: NOW_MS, limit: 100 }), { expired: 1 })
    t.match(await store.erase({ eventId: 'b', nowMs: NOW_MS }), { queued: 1 })
    const leased = await store.lease(askAll())
    const [a, , c] = eventsOf(leased.find(({ batchId }) => batchId === whole.batch!.batchId)!)
    t.same([a, c], [makeEvent('a'), makeEvent('c')])
    await store.acknowledge([
      { batchId: whole.batch!.batchId, delivered: [0], dead: [makeDead(2)], acknowledgedAtMs: NOW_MS },
    ])
    t.same(
      (await store.deadLetters({ limit: 9 })).map(({ eventId }) => eventId),
      ['c', 'd'],
    )
  })

  t.test('commits at the same time get batches of their own', async (t) => {
    const { store } = await (await layGround(t)).open()
    const names = Array.from({ length: 50 }, (_, index) => `event-${index}`)
    const receipts = await Promise.all(names.map((name) => store.commit(makeBatch([name]))))
    t.equal(new Set(receipts.map(({ batch }) => batch?.batchId)).size, 50)
    t.match(await store.totals({}), { received: 50, queued: 50 })
  })

  t.test('the caller may reuse the bytes of a payload once its commit is done', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const batch = makeBatch(['a'])
    await first.store.commit(batch)
    t.same(batch.payload.byteLength, makeEvent('a').length, 'they were not taken away')
    batch.payload.fill(0)
    await first.close()
    const { store } = await ground.open()
    t.same(eventsOf((await store.lease(askAll()))[0]!), [makeEvent('a')])
  })

  t.test('each queue has totals of its own, and refusals are counted apart', async (t) => {
    const { store } = await (await layGround(t)).open()
    await store.commit(makeBatch(['a']))
    await store.commit(makeBatch(['a', 'b'], { isTest: true }))
    await store.commit(makeBatch(['a'], { adAccountId: '1' }))
    await store.commit(makeBatch([], { isTest: true, invalidCount: 4 }))
    t.same(await store.totals({ adAccountId: '1' }), { ...NO_TOTALS, received: 1, queued: 1 })
    t.same(await store.totals({ ...LIVE }), { ...NO_TOTALS, received: 1, queued: 1 })
    t.same(await store.totals({ isTest: true }), { ...NO_TOTALS, received: 2, queued: 2, invalid: 4 })
    t.same(await store.totals({}), { ...NO_TOTALS, received: 4, queued: 4, invalid: 4 })
    t.same(await store.totals({ adAccountId: 'unknown' }), NO_TOTALS)
  })

  t.test('the size grows with what is stored', async (t) => {
    const { store } = await (await layGround(t)).open()
    const before = await store.size()
    let after = before
    // More than one where a vacuum has just freed what an earlier test left in PostgreSQL's tables.
    for (let n = 0; n < 30 && after.usedBytes < before.usedBytes + 1_000_000; n++) {
      await store.commit(makeBatch([`large-${n}-${'x'.repeat(1_000_000)}`]))
      after = await store.size()
    }
    t.ok(after.usedBytes >= before.usedBytes + 1_000_000)
    t.ok(after.diskFreeBytes > 0)
  })
}

function testDedupe(t: Test, layGround: LayGround): void {
  t.test('an event is taken once, in its post, beside it, and after a restart', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const [receipt, beside] = await Promise.all([
      first.store.commit(makeBatch(['a', 'b', 'a'], { eventTimesS: [NOW_S, NOW_S, NOW_S - 900] })),
      first.store.commit(makeBatch(['b'])),
    ])
    t.match(receipt, { duplicates: [2], pendingDuplicates: 0 })
    t.same(beside, { batch: undefined, duplicates: [0], pendingDuplicates: 1 })
    await first.close()

    const { store } = await ground.open()
    t.same((await store.commit(makeBatch(['c', 'a']))).duplicates, [1])
    const batches = await store.lease(askAll())
    t.match(batches, [{ eventCount: 2, oldestEventTimeS: NOW_S }], 'a duplicate does not make a batch older')
    t.same(batches[0], receipt.batch, 'the receipt has the batch as it is stored, without its duplicates')
    t.same(eventsOf(batches[0]!), [makeEvent('a'), makeEvent('b')])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 6, queued: 3, duplicate: 3 })
  })

  t.test('events are told apart by account, name and id', async (t) => {
    const { store } = await (await layGround(t)).open()
    const named = (eventName: string, eventId: string, queue = LIVE) => {
      const keys = dedupeKeys(queue, [{ eventName, eventId, eventTimeS: NOW_S }])
      return { ...makeBatch([eventId], queue), keys }
    }
    t.same((await store.commit(named('lead', 'x1'))).duplicates, [])
    t.same((await store.commit(named('leadx', '1'))).duplicates, [])
    t.same((await store.commit(named('lead', 'x1'))).duplicates, [0])
    t.same((await store.commit(named('lead', 'x1', { ...LIVE, adAccountId: '1' }))).duplicates, [])
  })

  t.test('test events are never duplicates, nor do they make any', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (let post = 0; post < 2; post++) {
      t.same((await store.commit(makeBatch(['a', 'a'], { isTest: true }))).duplicates, [])
    }
    t.same((await store.commit(makeBatch(['a']))).duplicates, [])
  })

  t.test('a delivered event is still a duplicate; a rejected or expired one may come again', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a', 'b', 'c']))).batch!
    const dead = [makeDead(1), makeDead(2, 'expired')]
    await store.acknowledge([{ batchId, delivered: 'rest', dead, acknowledgedAtMs: NOW_MS }])
    t.same((await store.commit(makeBatch(['a', 'b', 'c']))).duplicates, [0])
  })

  t.test('what was seen long ago is forgotten, but not what is still queued', async (t) => {
    const { store } = await (await layGround(t)).open()
    const delivered = await store.commit(makeBatch(['old']))
    await store.acknowledge([
      { batchId: delivered.batch!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
    await store.commit(makeBatch(['queued']))
    const young = await store.commit(makeBatch(['young'], { receivedAtMs: NOW_MS + 1 }))
    await store.acknowledge([
      { batchId: young.batch!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])

    await store.trimDedupe(NOW_MS)
    t.same((await store.commit(makeBatch(['old']))).duplicates, [0], 'not before its time')
    await store.trimDedupe(NOW_MS + 1)
    t.same((await store.commit(makeBatch(['old', 'queued', 'young']))).duplicates, [1, 2])
  })

  t.test('forgetting walks through thousands of events', async (t) => {
    const { store } = await (await layGround(t)).open()
    const ids = Array.from({ length: 4200 }, (_, index) => `event-${index}`)
    for (let start = 0; start < ids.length; start += 1000) {
      const { batchId } = (await store.commit(makeBatch(ids.slice(start, start + 1000)))).batch!
      await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    }
    await store.trimDedupe(NOW_MS + 1)
    t.same((await store.commit(makeBatch(ids))).duplicates, [])
  })
}

function testAcknowledgements(t: Test, layGround: LayGround): void {
  t.test('an acknowledged batch is gone for good', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { batchId } = (await first.store.commit(makeBatch(['a', 'b']))).batch!
    await first.store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    t.same(await first.store.backlog(), [])
    await first.close()
    const { store } = await ground.open()
    t.same(await store.lease(askAll()), [])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 2, delivered: 2 })
  })

  t.test('a batch that is acknowledged in part keeps the rest, at the same positions', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const ids = Array.from({ length: 12 }, (_, index) => `event-${index}`)
    const { batchId } = (await first.store.commit(makeBatch(ids))).batch!
    await first.store.acknowledge([
      {
        batchId,
        delivered: [0, 10],
        dead: [makeDead(3), makeDead(9, 'expired')],
        acknowledgedAtMs: NOW_MS,
      },
    ])
    await first.close()

    const { store } = await ground.open()
    const [leased] = await store.lease(askAll())
    t.match(leased, { batchId, eventCount: 12, acknowledged: [0, 3, 9, 10] })
    t.same(
      eventsOf(leased!),
      ids.map((id) => makeEvent(id)),
    )
    t.same(await store.backlog(), [{ ...LIVE, batches: 1, events: 8, oldestEventTimeS: NOW_S }])
    const totals = { ...NO_TOTALS, received: 12, rejected: 1, expired: 1 }
    t.same(await store.totals({}), { ...totals, delivered: 2, queued: 8 })

    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    t.same(await store.totals({}), { ...totals, delivered: 10 })
  })

  t.test('acknowledging twice changes nothing', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a', 'b', 'c']))).batch!
    const part = { batchId, delivered: [0], dead: [makeDead(1)], acknowledgedAtMs: NOW_MS }
    const rest = { batchId, delivered: 'rest' as const, dead: [], acknowledgedAtMs: NOW_MS }
    await Promise.all([store.acknowledge([part]), store.acknowledge([part])])
    t.match(await store.totals({}), { delivered: 1, rejected: 1, queued: 1 })
    await store.acknowledge([{ ...part, delivered: [1], dead: [makeDead(0)] }])
    t.match(await store.totals({}), { delivered: 1, rejected: 1, queued: 1 }, 'the first outcome stands')
    await Promise.all([store.acknowledge([rest]), store.acknowledge([rest]), store.acknowledge([part])])
    t.match(await store.totals({}), { delivered: 2, rejected: 1, queued: 0 })
    t.equal((await store.deadLetters({ limit: 10 })).length, 1)
  })

  t.test('an event that a batch does not have is refused, and nothing else with it', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a']))).batch!
    const wrong = { batchId, delivered: [1], dead: [], acknowledgedAtMs: NOW_MS }
    const [invalid, beside] = await Promise.allSettled([
      store.acknowledge([wrong]),
      store.commit(makeBatch(['b'])),
      store.acknowledge([{ ...wrong, delivered: [], dead: [makeDead(7)] }]).catch(() => undefined),
    ])
    t.equal(invalid.status, 'rejected')
    t.equal(beside.status, 'fulfilled')
    t.same(await store.totals({}), { ...NO_TOTALS, received: 2, queued: 2 })
  })
}

function testLeases(t: Test, layGround: LayGround): void {
  t.test('a committed batch belongs to who committed it, until it is released', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a']))).batch!
    t.same(await store.lease(askAll()), [])
    await store.release([{ batchId, attempts: 3, history: [] }])
    t.match(await store.lease(askAll()), [{ batchId, attempts: 3 }])
    t.same(await store.lease(askAll()), [], 'and then to who leased it')
  })

  t.test('attempts and history outlive a restart', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { batchId } = (await first.store.commit(makeBatch(['a']))).batch!
    await first.store.release([{ batchId, attempts: 7, history: HISTORY }])
    await first.close()
    const { store } = await ground.open()
    const [leased] = await store.lease(askAll())
    t.match(leased, { batchId, attempts: 7, isReplay: false })
    t.same(leased?.history, HISTORY)
    await store.release([{ batchId, attempts: 7, history: [] }])
    t.same((await store.lease(askAll()))[0]?.history, [], 'and are replaced as a whole')
  })

  t.test('two that lease at once share the batches', async (t) => {
    const ground = await layGround(t)
    await fill(ground, ['a', 'b', 'c', 'd'])
    const { store } = await ground.open()
    const leased = await Promise.all([
      store.lease(askAll({ maxEvents: 2 })),
      store.lease(askAll({ maxEvents: 2 })),
      store.lease(askAll({ maxEvents: 2 })),
    ])
    t.same(
      leased.map(({ length }) => length),
      [2, 2, 0],
    )
    t.equal(new Set(leased.flat().map(({ batchId }) => batchId)).size, 4)
  })

  t.test('what is on time comes first, closest to the edge first; then the late, oldest first', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const agesS: Record<string, number> = { new: 0, middle: 1800, edge: 3599, late: 3600, older: 9000 }
    for (const [id, ageS] of Object.entries(agesS)) {
      await first.store.commit(makeBatch([id, `${id}-too`], { eventTimesS: [NOW_S, NOW_S - ageS] }))
    }
    await first.close()
    const { store } = await ground.open()
    const order = []
    for (let n = 0; n < 5; n++) order.push(...(await store.lease(askAll({ maxEvents: 1 }))))
    t.same(order.map(idOf), ['edge', 'middle', 'new', 'older', 'late'])
  })

  t.test('a lease holds as many batches as fit, and at least one', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    for (const ids of [['a', 'b', 'c'], ['d', 'e'], ['f'], ['g']]) await first.store.commit(makeBatch(ids))
    await first.close()
    const { store } = await ground.open()
    const ids = async (limits: { maxEvents?: number; maxBytes?: number }) => {
      const batches = await store.lease(askAll(limits))
      await store.release(batches)
      return batches.map(idOf)
    }
    t.same(await ids({ maxEvents: 1 }), ['a'])
    t.same(await ids({ maxEvents: 5 }), ['a', 'd'])
    t.same(await ids({ maxEvents: 6 }), ['a', 'd', 'f'])
    t.same(await ids({ maxBytes: 1 }), ['a'])
    t.same(await ids({ maxBytes: makeBatch(['a', 'b', 'c']).payload.byteLength * 2 }), ['a', 'd', 'f'])
    t.same(await ids({}), ['a', 'd', 'f', 'g'])
  })

  t.test('only what is pending counts against the limit', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { batchId } = (await first.store.commit(makeBatch(['a', 'b', 'c', 'd']))).batch!
    await first.store.acknowledge([{ batchId, delivered: [1, 2, 3], dead: [], acknowledgedAtMs: NOW_MS }])
    await first.store.commit(makeBatch(['e']))
    await first.close()
    const { store } = await ground.open()
    t.equal((await store.lease(askAll({ maxEvents: 2 }))).length, 2)
  })

  t.test('queues do not mix', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    await first.store.commit(makeBatch(['live']))
    await first.store.commit(makeBatch(['test'], { isTest: true }))
    await first.store.commit(makeBatch(['other'], { adAccountId: '1' }))
    await first.close()
    const { store } = await ground.open()
    t.same((await store.lease(askAll(TEST))).map(idOf), ['test'])
    t.same((await store.lease(askAll({ adAccountId: '1' }))).map(idOf), ['other'])
    t.same(await store.lease(askAll({ adAccountId: 'unknown' })), [])
    t.same((await store.lease(askAll())).map(idOf), ['live'])
    const backlog = await store.backlog()
    t.same(backlog.map(({ adAccountId, isTest }) => `${adAccountId} ${isTest}`).sort(), [
      '1 false',
      `${LIVE.adAccountId} false`,
      `${LIVE.adAccountId} true`,
    ])
  })

  t.test('no clock ends a lease: a held batch is handed out again only after a restart', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const committed = await first.store.commit(makeBatch(['a']))
    await first.close()
    const second = await ground.open()
    const leased = await second.store.commit(makeBatch(['b'], { isTest: true }))
    t.match(await second.store.lease(askAll()), [{ batchId: committed.batch?.batchId }])
    for (const jumpMs of [HOUR_MS, 1000 * 24 * HOUR_MS, -HOUR_MS, -1000 * 24 * HOUR_MS]) {
      t.same(await second.store.lease(askAll({ nowMs: NOW_MS + jumpMs })), [])
      t.same(await second.store.lease(askAll({ ...TEST, nowMs: NOW_MS + jumpMs })), [])
    }
    await second.close()
    const { store } = await ground.open()
    t.match(await store.lease(askAll()), [{ batchId: committed.batch?.batchId }])
    t.match(await store.lease(askAll(TEST)), [{ batchId: leased.batch?.batchId }])
  })

  t.test('no batch gets the id of one that is gone, not even after a restart', async (t) => {
    const ground = await layGround(t)
    const ids: number[] = []
    for (let run = 0; run < 3; run++) {
      const { store, close } = await ground.open()
      for (const id of [`a${run}`, `b${run}`]) {
        const { batchId } = (await store.commit(makeBatch([id]))).batch!
        await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
        ids.push(batchId)
      }
      await close()
    }
    t.same(
      ids,
      [...new Set(ids)].toSorted((a, b) => a - b),
    )
    t.ok(Number.isSafeInteger(ids.at(-1)))
  })

  t.test('a batch that is gone cannot be released', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a']))).batch!
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    await store.release([{ batchId, attempts: 1, history: [] }])
    t.same(await store.lease(askAll()), [])
  })
}

function testDeadLetters(t: Test, layGround: LayGround): void {
  t.test('a dead letter has what it was, why and when it died', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { batchId } = (await first.store.commit(makeBatch(['a', 'b']))).batch!
    const why = { status: 'expired', reason: 'too_old', message: 'Grew old.', attempts: 9 } as const
    const dead = [{ index: 1, ...why, history: HISTORY }]
    await first.store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS + 5 }])
    await first.close()
    const { store } = await ground.open()
    const [deadLetter] = await store.deadLetters({ limit: 1 })
    t.match(deadLetter, {
      ...LIVE,
      eventName: 'checkout',
      eventId: 'b',
      status: 'expired',
      reason: 'too_old',
      message: 'Grew old.',
      attempts: 9,
      firstSeenAtMs: NOW_MS,
      diedAtMs: NOW_MS + 5,
    })
    t.same(deadLetter?.history, HISTORY)
  })

  t.test('of a long history the newest entries are kept', async (t) => {
    const { store } = await (await layGround(t)).open()
    const long = Array.from({ length: HISTORY_LIMIT + 5 }, (_, n) => ({
      atMs: NOW_MS + n,
      reason: 'timeout',
    }))
    const { batchId } = (await store.commit(makeBatch(['a']))).batch!
    await store.release([{ batchId, attempts: 1, history: long }])
    t.same((await store.lease(askAll()))[0]?.history, long.slice(5))
    const dead = [makeDead(0, 'rejected', long)]
    await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
    t.same((await store.deadLetters({ limit: 1 }))[0]?.history, long.slice(5))
  })

  t.test('dead letters are listed newest first, filtered, page by page', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (const [round, adAccountId] of ['1', '2', '1'].entries()) {
      const batch = makeBatch([`x${round}`, `y${round}`], { adAccountId })
      const { batchId } = (await store.commit(batch)).batch!
      const dead = [makeDead(0), { ...makeDead(1), reason: 'other' }]
      await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS + round }])
    }
    const ids = async (query: Partial<Parameters<Store['deadLetters']>[0]>) =>
      (await store.deadLetters({ limit: 10, ...query })).map(({ eventId }) => eventId)
    t.same(await ids({}), ['y2', 'x2', 'y1', 'x1', 'y0', 'x0'])
    t.same(await ids({ adAccountId: '1' }), ['y2', 'x2', 'y0', 'x0'])
    t.same(await ids({ reason: 'other' }), ['y2', 'y1', 'y0'])
    t.same(await ids({ eventName: 'lead' }), [])
    t.same(await ids({ eventName: 'checkout', adAccountId: '2', reason: 'invalid_value' }), ['x1'])
    t.same(await ids({ status: 'expired' }), [])
    t.same(await ids({ status: 'rejected', isTest: false, adAccountId: '2' }), ['y1', 'x1'])
    t.same(await ids({ isTest: true }), [])
    const [newest, , third] = await store.deadLetters({ limit: 3 })
    t.same(await ids({ ids: [third!.id, newest!.id, 987_654_321] }), ['y2', 'y1'])
    t.same(await ids({ ids: [third!.id, newest!.id], reason: 'invalid_value' }), [])
    t.same(await ids({ ids: [] }), [])
    const page = await store.deadLetters({ limit: 4 })
    t.same(await ids({ limit: 4, beforeId: page.at(-1)!.id }), ['y0', 'x0'])
  })
}

function testReplay(t: Test, layGround: LayGround): void {
  t.test(
    'a replayed dead letter is a batch of its own: id, attempts, birth and history are kept',
    async (t) => {
      const ground = await layGround(t)
      const first = await ground.open()
      await die(first.store, makeBatch(['a', 'b'], { eventTimesS: [NOW_S, NOW_S - 50] }), [
        { ...makeDead(1, 'expired', HISTORY), attempts: 4 },
      ])
      const step = await first.store.replay(askReplay({ nowMs: NOW_MS + 9 }))
      t.match(step, { replayed: 1, duplicates: 0, tooOld: 0, queues: [LIVE] })
      t.same(await first.store.deadLetters({ limit: 10 }), [])
      t.same(await first.store.totals({}), { ...NO_TOTALS, received: 2, delivered: 1, queued: 1 })
      t.same(await first.store.backlog(), [{ ...LIVE, batches: 1, events: 1, oldestEventTimeS: NOW_S - 50 }])
      await first.close()

      const { store } = await ground.open()
      const [leased, ...others] = await store.lease(askAll())
      t.same(others, [])
      t.match(leased, {
        ...LIVE,
        eventCount: 1,
        acknowledged: [],
        oldestEventTimeS: NOW_S - 50,
        receivedAtMs: NOW_MS,
        attempts: 4,
        isReplay: true,
      })
      t.same(leased!.history, [...HISTORY, { atMs: NOW_MS + 9, reason: 'replayed' }])
      t.same(eventsOf(leased!), [makeEvent('b', NOW_S - 50)])
    },
  )

  t.test('a replay waits behind everything else of its queue, and is leased at once', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    for (const [id, ageS] of [
      ['dead-old', 9000],
      ['dead-new', 5],
    ] as const) {
      await die(first.store, makeBatch([id], { eventTimesS: [NOW_S - ageS] }), [makeDead(0)])
    }
    await first.store.replay(askReplay())
    t.same((await first.store.lease(askAll({ maxEvents: 1 }))).map(idOf), ['dead-old'])
    for (const [id, ageS] of Object.entries({ new: 0, edge: 3599, late: 5000 })) {
      await first.store.commit(makeBatch([id], { eventTimesS: [NOW_S - ageS] }))
    }
    await first.close()
    const { store } = await ground.open()
    const order = []
    for (let n = 0; n < 5; n++) order.push(...(await store.lease(askAll({ maxEvents: 1 }))))
    t.same(order.map(idOf), ['edge', 'new', 'late', 'dead-old', 'dead-new'])
  })

  t.test('a replay is acknowledged, released and given back like any other batch', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['a', 'b', 'c']), [makeDead(0), makeDead(1), makeDead(2)])
    await store.replay(askReplay())
    const [one, two, three] = await store.lease(askAll())
    const acknowledgedAtMs = NOW_MS
    await store.acknowledge([{ batchId: one!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs }])
    await store.acknowledge([{ batchId: two!.batchId, delivered: [0], dead: [], acknowledgedAtMs }])
    await store.release([{ batchId: three!.batchId, attempts: 8, history: HISTORY }])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 3, delivered: 2, queued: 1 })
    t.match(await store.lease(askAll()), [{ batchId: three!.batchId, attempts: 8, isReplay: true }])
  })

  t.test('one that dies again is a newer dead letter and has its whole history', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['a']), [makeDead(0, 'rejected', HISTORY)])
    const [deadLetter] = await store.deadLetters({ limit: 1 })
    await store.replay(askReplay())
    const [leased] = await store.lease(askAll())
    const dead = [makeDead(0, 'expired', [...leased!.history, { atMs: NOW_MS, reason: 'too_old' }])]
    await store.acknowledge([{ batchId: leased!.batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS + 1 }])
    const [again, ...others] = await store.deadLetters({ limit: 10 })
    t.same(others, [])
    t.ok(again!.id > deadLetter!.id)
    t.match(again, { eventId: 'a', status: 'expired', firstSeenAtMs: NOW_MS, diedAtMs: NOW_MS + 1 })
    t.same(
      again!.history.map(({ reason }) => reason),
      [...HISTORY.map(({ reason }) => reason), 'replayed', 'too_old'],
    )
    t.same(await store.totals({}), { ...NO_TOTALS, received: 1, expired: 1 })
    t.match(await store.replay(askReplay({ beforeId: deadLetter!.id + 1 })), { replayed: 0 }, 'not met again')
    t.same((await store.commit(makeBatch(['a']))).duplicates, [], 'and it may be posted again')
  })

  t.test('an event that was posted again meanwhile is not sent twice', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['queued', 'delivered', 'alone']), [
      makeDead(0),
      makeDead(1),
      makeDead(2, 'expired'),
    ])
    await store.commit(makeBatch(['queued']))
    const { batchId } = (await store.commit(makeBatch(['delivered']))).batch!
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    t.match(await store.replay(askReplay()), { replayed: 1, duplicates: 2, tooOld: 0 })
    t.same(await store.deadLetters({ limit: 10 }), [])
    t.same((await store.lease(askAll())).map(idOf), ['alone'])
    const totals = { ...NO_TOTALS, received: 5, delivered: 1, duplicate: 2 }
    t.same(await store.totals({}), { ...totals, queued: 2 })
    await store.trimDedupe(NOW_MS + 1)
    t.same((await store.commit(makeBatch(['alone']))).duplicates, [0], 'nor while its replay is queued')
  })

  t.test('of two dead letters of one event, one is sent', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (let post = 0; post < 2; post++) await die(store, makeBatch(['a']), [makeDead(0)])
    t.match(await store.replay(askReplay()), { replayed: 1, duplicates: 1 })
    t.same(await store.totals({}), { ...NO_TOTALS, received: 2, queued: 1, duplicate: 1 })
  })

  t.test('test events are replayed whatever their age, and as often as they died', async (t) => {
    const { store } = await (await layGround(t)).open()
    const old = { isTest: true, eventTimesS: [NOW_S - 10_000] }
    for (let post = 0; post < 2; post++) await die(store, makeBatch(['a'], old), [makeDead(0)])
    await die(store, makeBatch(['a']), [makeDead(0)])
    const step = await store.replay(askReplay({ isTest: true, oldestEventTimeS: NOW_S }))
    t.match(step, { replayed: 2, duplicates: 0, tooOld: 0, queues: [TEST] })
    t.equal((await store.lease(askAll(TEST))).length, 2)
    t.same((await store.commit(makeBatch(['a']))).duplicates, [], 'live ones are not compared with them')
  })

  t.test('live dead letters that would die again stay', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['old', 'edge'], { eventTimesS: [NOW_S - 101, NOW_S - 100] }), [
      makeDead(0),
      makeDead(1),
    ])
    const step = await store.replay(askReplay({ oldestEventTimeS: NOW_S - 100 }))
    t.match(step, { replayed: 1, duplicates: 0, tooOld: 1 })
    t.match(await store.deadLetters({ limit: 10 }), [{ eventId: 'old' }])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 2, rejected: 1, queued: 1 })
    t.same((await store.commit(makeBatch(['old']))).duplicates, [], 'and may still be posted again')
  })

  t.test('a replay continues in steps to the end, and meets each dead letter once', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (const [round, adAccountId] of ['1', '2', '3', '1'].entries()) {
      const ids = Array.from({ length: 5 }, (_, n) => `${round}-${n}`)
      await die(
        store,
        makeBatch(ids, { adAccountId }),
        ids.map((_, index) => makeDead(index)),
      )
    }
    let step: ReplayStep | undefined
    let replayed = 0
    const queues = new Set<string>()
    do {
      const next = step && { beforeId: step.beforeId! }
      step = await store.replay(askReplay({ limit: 3, ...next }))
      replayed += step.replayed
      for (const { adAccountId } of step.queues) queues.add(adAccountId)
      t.ok(step.replayed <= 3)
      // What dies again meanwhile is not met again.
      const [again] = await store.lease(askAll({ adAccountId: '1' }))
      if (again !== undefined) {
        await store.acknowledge([
          { batchId: again.batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS },
        ])
      }
    } while (step.beforeId !== undefined)
    t.equal(replayed, 20)
    t.same([...queues].toSorted(), ['1', '2', '3'])
  })

  t.test('two replays at the same time replay each dead letter once', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['a', 'b', 'c'], { isTest: true }), [makeDead(0), makeDead(1), makeDead(2)])
    const steps = await Promise.all([store.replay(askReplay()), store.replay(askReplay())])
    t.equal(steps[0].replayed + steps[1].replayed, 3)
    t.equal((await store.lease(askAll(TEST))).length, 3)
    t.same(await store.totals({}), { ...NO_TOTALS, received: 3, queued: 3 })
  })
}

function testPurge(t: Test, layGround: LayGround): void {
  t.test('purged dead letters are gone, and the totals still count them', async (t) => {
    const { store } = await (await layGround(t)).open()
    await die(store, makeBatch(['a', 'b', 'c']), [makeDead(0), makeDead(1, 'expired'), makeDead(2)])
    const totals = await store.totals({})
    const first = await store.purge({ status: 'rejected', limit: 1 })
    t.match(first, { purged: 1 })
    const second = await store.purge({ status: 'rejected', limit: 5, beforeId: first.beforeId! })
    t.match(second, { purged: 1, beforeId: undefined })
    t.match(await store.deadLetters({ limit: 10 }), [{ eventId: 'b' }])
    t.same(await store.totals({}), totals)
    t.same(await store.replay(askReplay({ status: 'rejected' })).then(({ replayed }) => replayed), 0)
  })
}

function testExpiry(t: Test, layGround: LayGround): void {
  const DAY_S = 24 * 3600
  const askExpire = { oldestEventTimeS: NOW_S - DAY_S, limit: 100, nowMs: NOW_MS + 7 }

  t.test('of a batch only what grew too old expires, not what is on the edge', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    await first.store.commit(makeBatch(['old', 'edge'], { eventTimesS: [NOW_S - DAY_S - 1, NOW_S - DAY_S] }))
    await first.close()
    const { store } = await ground.open()
    t.match(await store.expire(askExpire), { expired: 1 })
    t.match(await store.totals({}), { expired: 1, queued: 1 })
  })

  t.test('an event that died is new to what is posted beside its outcome', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { batchId } = (await store.commit(makeBatch(['a']))).batch!
    const [again] = await Promise.all([
      store.commit(makeBatch(['a'])),
      store.acknowledge([{ batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }]),
    ])
    t.same(again.duplicates, [])
  })

  t.test('waiting live events that grew too old become dead letters, the oldest first', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const commit = (id: string, ageS: number, adAccountId = '1', isTest = false) =>
      first.store.commit(makeBatch([id], { adAccountId, isTest, eventTimesS: [NOW_S - ageS] }))
    await commit('older', DAY_S + 2)
    await commit('edge', DAY_S)
    await commit('oldest', DAY_S + 3, '2')
    await commit('old', DAY_S + 1, '2')
    await commit('test', DAY_S + 9, '2', true)
    const tried = await commit('tried', DAY_S + 4)
    await first.store.release([{ batchId: tried.batch!.batchId, attempts: 5, history: HISTORY }])
    await first.close()

    const { store } = await ground.open()
    t.match(await store.expire({ ...askExpire, limit: 3 }), { expired: 3 })
    t.match(await store.expire({ ...askExpire, limit: 3 }), { expired: 1 })
    t.match(await store.expire({ ...askExpire, limit: 3 }), { expired: 0 })
    const deadLetters = await store.deadLetters({ limit: 10 })
    t.same(
      deadLetters.map(({ eventId }) => eventId),
      ['old', 'older', 'oldest', 'tried'],
    )
    const [last] = deadLetters.slice(-1)
    t.match(last, {
      status: 'expired',
      reason: 'too_old',
      message: 'The event grew too old before Pinterest took it.',
      attempts: 5,
      firstSeenAtMs: NOW_MS,
      diedAtMs: NOW_MS + 7,
    })
    t.same(last!.history, [...HISTORY, { atMs: NOW_MS + 7, reason: 'too_old' }])
    t.same(await store.totals({}), { ...NO_TOTALS, received: 6, expired: 4, queued: 2 })
    t.same((await store.lease(askAll({ adAccountId: '1' }))).map(idOf), ['edge'])
    t.same((await store.lease(askAll({ adAccountId: '2', isTest: true }))).map(idOf), ['test'])
    t.same((await store.commit(makeBatch(['old'], { adAccountId: '2' }))).duplicates, [], 'it was forgotten')
  })

  t.test('of a batch that is too old in part the rest stays, in its right place', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const eventTimesS = [NOW_S - DAY_S - 1, NOW_S - 10, NOW_S - DAY_S - 2, NOW_S - 60, NOW_S - DAY_S - 3]
    const mixed = await first.store.commit(makeBatch(['a', 'b', 'c', 'd', 'e'], { eventTimesS }))
    await first.store.acknowledge([
      { batchId: mixed.batch!.batchId, delivered: [4], dead: [], acknowledgedAtMs: NOW_MS },
    ])
    await first.store.commit(makeBatch(['other'], { eventTimesS: [NOW_S - 30] }))
    await first.close()

    const second = await ground.open()
    t.match(await second.store.expire(askExpire), { expired: 2 })
    t.match(await second.store.expire(askExpire), { expired: 0 })
    t.same(await second.store.totals({}), { ...NO_TOTALS, received: 6, delivered: 1, expired: 2, queued: 3 })
    t.match(
      await second.store.expire({ ...askExpire, oldestEventTimeS: NOW_S - 59 }),
      { expired: 1 },
      'and again',
    )
    t.match(await second.store.expire({ ...askExpire, oldestEventTimeS: NOW_S - 59 }), { expired: 0 })
    await second.close()
    const { store } = await ground.open()
    const leased = await store.lease(askAll())
    t.match(leased, [
      { oldestEventTimeS: NOW_S - 30 },
      { batchId: mixed.batch?.batchId, acknowledged: [0, 2, 3, 4], oldestEventTimeS: NOW_S - 10 },
    ])
    for (const { batchId } of leased) {
      await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    }
    t.same(await store.backlog(), [])
    t.match(await store.totals({}), { delivered: 3, expired: 3, queued: 0 })
  })

  t.test('a batch whose oldest events have their outcome is looked at once, and kept', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    for (const id of ['a', 'b', 'c']) {
      const eventTimesS = [NOW_S - DAY_S - 9, NOW_S]
      const { batchId } = (await first.store.commit(makeBatch([id, `${id}-new`], { eventTimesS }))).batch!
      await first.store.acknowledge([{ batchId, delivered: [0], dead: [], acknowledgedAtMs: NOW_MS }])
    }
    await first.store.commit(makeBatch(['last'], { eventTimesS: [NOW_S - DAY_S - 1] }))
    await first.close()
    const { store } = await ground.open()
    let step: ExpireStep
    let expired = 0
    do expired += (step = await store.expire({ ...askExpire, limit: 1 })).expired
    while (step.hasMore)
    t.equal(expired, 1, 'a step that expires nothing is no end yet')
    t.match(await store.lease(askAll()), [{ oldestEventTimeS: NOW_S }, {}, {}])
  })

  t.test('what is leased is left to its holder; a replay grows old like any other', async (t) => {
    const { store } = await (await layGround(t)).open()
    const old = { eventTimesS: [NOW_S - DAY_S - 1] }
    const { batchId } = (await store.commit(makeBatch(['held'], old))).batch!
    t.match(await store.expire(askExpire), { expired: 0 })
    await store.release([{ batchId, attempts: 0, history: [] }])
    t.match(await store.expire(askExpire), { expired: 1 })
    await store.replay(askReplay())
    t.match(await store.expire(askExpire), { expired: 1 })
    const [deadLetter] = await store.deadLetters({ limit: 10 })
    t.same(
      deadLetter!.history.map(({ reason }) => reason),
      ['too_old', 'replayed', 'too_old'],
    )
    t.same(await store.totals({}), { ...NO_TOTALS, received: 1, expired: 1 })
  })
}

function testAudit(t: Test, layGround: LayGround): void {
  t.test('the audit keeps what was done, newest first, page by page, over restarts', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    for (const action of ['one', 'two', 'three']) {
      await first.store.addAudit({ atMs: NOW_MS, action, details: { ad_account_id: '1', status: 200 } })
    }
    await first.close()
    const { store } = await ground.open()
    const page = await store.auditTrail({ limit: 2 })
    t.match(page, [{ action: 'three' }, { action: 'two' }])
    t.same(await store.auditTrail({ limit: 2, beforeId: page[1]!.id }), [
      { id: page[1]!.id - 1, atMs: NOW_MS, action: 'one', details: { ad_account_id: '1', status: 200 } },
    ])
  })
}

function testCrash(t: Test, layGround: LayGround): void {
  t.test('a crash loses nothing that was acknowledged', async (t) => {
    const ground = await layGround(t)
    const { store } = await ground.open({ willCrash: true })
    await store.commit(makeBatch(['a', 'b']))
    await die(store, makeBatch(['c', 'd']), [makeDead(0), makeDead(1)])
    const [deadLetter] = await store.deadLetters({ limit: 1 })
    await store.replay(askReplay({ ids: [deadLetter!.id] }))
    await store.addAudit({ atMs: NOW_MS, action: 'something', details: {} })
    const totals = await store.totals({})
    await ground.crash()
    const after = (await ground.open()).store
    t.same(await after.totals({}), totals)
    t.same((await after.lease(askAll())).map(idOf), ['a', 'd'])
    t.match(await after.deadLetters({ limit: 10 }), [{ eventId: 'c' }])
    t.match(await after.auditTrail({ limit: 10 }), [{ action: 'something' }])
  })
}

const HISTORY = [
  { atMs: NOW_MS + 1, reason: 'status_503' },
  { atMs: NOW_MS + 2, reason: 'timeout' },
]

/** Commits and acknowledges a batch of which these events die and the rest is delivered. */
async function die(store: Store, batch: NewBatch, dead: readonly DeadEvent[]): Promise<void> {
  const { batchId } = (await store.commit(batch)).batch!
  await store.acknowledge([{ batchId, delivered: 'rest', dead, acknowledgedAtMs: NOW_MS }])
}

/** All dead letters, none of them too old. */
function askReplay(options: Partial<ReplayRequest> = {}): ReplayRequest {
  return { limit: 100, oldestEventTimeS: 0, nowMs: NOW_MS, ...options }
}

function testKeys(t: Test, layGround: LayGround): void {
  t.test('what an older master key sealed opens, is sealed again, and then no longer needs it', async (t) => {
    const ground = await layGround(t)
    const older: MasterKeys = { current: randomBytes(32) }
    const both: MasterKeys = { current: randomBytes(32), previous: older.current }
    const first = await ground.open({ masterKeys: older })
    for (const id of ['a', 'b', 'c']) await first.store.commit(makeBatch([id]))
    const doomed = await first.store.commit(makeBatch(['d']))
    await first.store.acknowledge([
      {
        batchId: doomed.batch!.batchId,
        delivered: [],
        dead: [makeDead(0)],
        acknowledgedAtMs: NOW_MS,
      },
    ])
    await first.close()

    const second = await ground.open({ masterKeys: both })
    const [leased] = await second.store.lease(askAll({ maxEvents: 1 }))
    t.same(eventsOf(leased!), [makeEvent('a')])
    await second.close()
    await t.rejects(ground.open({ masterKeys: { current: both.current } }), { code: 'WRONG_MASTER_KEY' })

    const third = await ground.open({ masterKeys: both })
    t.equal(await third.store.reseal(2), 4, 'the dead letter is one of them')
    t.equal(await third.store.reseal(10), 0)
    await third.close()

    const { store } = await ground.open({ masterKeys: { current: both.current } })
    t.same((await store.lease(askAll())).map(idOf), ['a', 'b', 'c'])
    t.equal(await store.reseal(10), 0)
  })
}

function testVault(t: Test, layGround: LayGround): void {
  const a: VaultDocument = { kind: 'account', id: '1', body: Buffer.from([0, 1, 255]) }
  const b: VaultDocument = { kind: 'account', id: 'a', body: Buffer.from('b') }
  const c: VaultDocument = { kind: 'grant', id: '1', body: Buffer.from('c') }
  const read = async ({ vaultStore }: { readonly vaultStore: VaultStore }) =>
    (await vaultStore.readVault()).map((one) => ({ ...one, body: Buffer.from(one.body) }))

  t.test('documents of the vault are kept, replaced and deleted', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    t.same(await read(first), [])
    await first.vaultStore.changeVault(() => [c, a])
    await first.vaultStore.changeVault(() => [b])
    await first.close()

    const second = await ground.open()
    t.same(await read(second), [a, b, c], 'by kind and id')
    const other = { ...a, body: Buffer.from('other') }
    const gone = { id: '1', body: undefined }
    await second.vaultStore.changeVault(() => [other, { kind: 'grant', ...gone }, { kind: 'none', ...gone }])
    await second.close()
    t.same(await read(await ground.open()), [other, b])
  })

  t.test('a change of the vault is made as a whole or not at all', async (t) => {
    const ground = await layGround(t)
    const opened = await ground.open()
    const broken = { ...b, id: undefined as unknown as string }
    await t.rejects(opened.vaultStore.changeVault(() => [a, broken]))
    t.same(await read(opened), [])
    await opened.vaultStore.changeVault(() => [a])
    t.same(await read(opened), [a])
  })

  t.test('a change of the vault that is refused by who decides it changes nothing', async (t) => {
    const opened = await (await layGround(t)).open()
    const refusal = new Error('no')
    const refused = opened.vaultStore.changeVault(() => {
      throw refusal
    })
    await t.rejects(refused, refusal)
    await opened.vaultStore.changeVault(() => [a])
    t.same(await read(opened), [a], 'and the next change works')
  })
}

/** One batch per id, waiting. */
async function fill(ground: Ground, ids: readonly string[]): Promise<void> {
  const { store, close } = await ground.open()
  await Promise.all(ids.map((id) => store.commit(makeBatch([id]))))
  await close()
}

function eventsOf(batch: LeasedBatch): string[] {
  return splitEvents(batch.payload)
}

/** The first event's id. */
function idOf(batch: LeasedBatch): string {
  return (JSON.parse(eventsOf(batch)[0]!) as { event_id: string }).event_id
}

function testTrim(t: Test, layGround: LayGround): void {
  t.test('dead letters that are too old go, the oldest death first, and the totals keep them', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (const [id, laterMs] of Object.entries({ second: 1, third: 2, first: 0, test: 1 })) {
      const { batchId } = (await store.commit(makeBatch([id], { isTest: id === 'test' }))).batch!
      const acknowledgedAtMs = NOW_MS + laterMs
      await store.acknowledge([{ batchId, delivered: [], dead: [makeDead(0)], acknowledgedAtMs }])
    }
    const totals = await store.totals({})
    const { deadLetterBytes } = await store.size()
    const left = async () => (await store.deadLetters({ limit: 10 })).map(({ eventId }) => eventId)
    t.same(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS, limit: 10 }), {
      tooOld: 0,
      overPart: 0,
    })
    for (const after of [
      ['test', 'third', 'second'],
      ['test', 'third'],
    ]) {
      t.same(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 2, limit: 1 }), {
        tooOld: 1,
        overPart: 0,
      })
      t.same(await left(), after)
    }
    t.ok((await store.size()).deadLetterBytes < deadLetterBytes)
    t.same(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 2, limit: 2 }), {
      tooOld: 1,
      overPart: 0,
    })
    t.same(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 2, limit: 2 }), {
      tooOld: 0,
      overPart: 0,
    })
    t.same(await left(), ['third'])
    t.same(await store.totals({}), totals)
  })

  t.test('no byte of a dead letter stays counted, whatever became of it', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    // Texts that take more bytes than dead letters, one of which PostgreSQL cannot hold.
    const ids = ['replayed', 'purged', 'trimmed'].map((id) => `${id} \0 ä€`)
    await die(
      first.store,
      makeBatch(ids),
      ids.map((_, index) => makeDead(index, 'rejected', HISTORY)),
    )
    const [newest, middle] = await first.store.deadLetters({ limit: 3 })
    await first.store.purge({ ids: [middle!.id], limit: 1 })
    await first.store.replay(askReplay({ ids: [newest!.id] }))
    await first.close()
    const { store } = await ground.open()
    t.ok((await store.size()).deadLetterBytes > 0)
    t.same(await store.trim({ table: 'dead_letters', beforeMs: NOW_MS + 1, limit: 9 }), {
      tooOld: 1,
      overPart: 0,
    })
    const [leased] = await store.lease(askAll())
    t.match(await store.size(), { queuedBytes: leased!.payload.byteLength, deadLetterBytes: 0 })
    await store.acknowledge([
      { batchId: leased!.batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
    t.match(await store.size(), { queuedBytes: 0, deadLetterBytes: 0 })
  })

  t.test('what is rolled back is not counted in bytes', async (t) => {
    const { store } = await (await layGround(t)).open()
    const batch = makeBatch(['a', 'b'])
    const { batchId } = (await store.commit(batch)).batch!
    await store.size()
    const acknowledgement = {
      batchId,
      delivered: [9],
      dead: [makeDead(0)],
      acknowledgedAtMs: NOW_MS,
    }
    await t.rejects(store.acknowledge([acknowledgement]))
    t.match(await store.size(), { queuedBytes: batch.payload.byteLength, deadLetterBytes: 0 })
  })

  t.test('of more dead letters than their part holds the oldest go, and each is reported once', async (t) => {
    const storeLimitBytes = 600_000
    const { store } = await (await layGround(t)).open({ storeLimitBytes })
    const idsOf = (round: number) => Array.from({ length: 20 }, (_, n) => `${round}-${n}-${'x'.repeat(500)}`)
    for (let round = 0; round < 5; round++) {
      const ids = idsOf(round)
      await die(
        store,
        makeBatch(ids),
        ids.map((_, index) => makeDead(index)),
      )
    }
    let removed = 0
    for (let step = { tooOld: 0, overPart: -1 }; step.overPart !== 0;) {
      step = await store.trim({ table: 'dead_letters', beforeMs: 0, limit: 7 })
      t.equal(step.tooOld, 0)
      removed += step.overPart
    }
    const left = (await store.deadLetters({ limit: 200 })).map(({ eventId }) => eventId)
    const all = Array.from({ length: 5 }, (_, round) => idsOf(round)).flat()
    t.strictSame(left.toReversed(), all.slice(removed), 'the newest are left')
    t.ok(removed > 0 && left.length > 20, `${left.length} are left`)
    t.ok((await store.size()).deadLetterBytes <= storeLimitBytes / 10)
    t.match(await store.totals({}), { received: 100, rejected: 100 })
  })
}

function testShares(t: Test, layGround: LayGround): void {
  t.test(
    'an account that does not drain leaves room for the others, and gets nearly all alone',
    async (t) => {
      const storeLimitBytes = 4_000_000
      const { store } = await (await layGround(t)).open({ storeLimitBytes })
      let serial = 0
      const post = (adAccountId: string, bytes: number) =>
        store.commit(makeBatch([`${serial++}-${'x'.repeat(bytes)}`], { adAccountId }))
      /** Ids of what was taken until it is over its share. A post may be refused before, by a count that others crossed. */
      const fill = async (adAccountId: string, bytes: number, atOnce: number) => {
        for (const ids: number[] = []; ;) {
          const results = await Promise.allSettled(
            Array.from({ length: atOnce }, () => post(adAccountId, bytes)),
          )
          for (const one of results) if (one.status === 'fulfilled') ids.push(one.value.batch!.batchId)
          const invalid = results.filter((one) => one.status === 'rejected')
          for (const { reason } of invalid) t.match(reason, { code: 'STORE_UNAVAILABLE' })
          if (invalid.length === 0) continue
          const { isFull, overShare } = await store.size()
          if (isFull || overShare.includes(adAccountId)) return ids
        }
      }
      const taken = await fill('1', 15_000, 10)
      t.ok(taken.length * 15_000 > 0.55 * storeLimitBytes, `${taken.length} were taken`)
      t.match(await store.size(), { isFull: false, overShare: ['1'] })
      await t.resolves(post('2', 15_000), 'which others do not feel')
      t.ok((await fill('2', 3000, 1)).length > 5)
      t.match(await store.size(), { isFull: false })
      await t.resolves(post('3', 3000), 'nor do two')

      const acknowledgedAtMs = NOW_MS
      await store.acknowledge(
        taken.map((batchId) => ({ batchId, delivered: 'rest' as const, dead: [], acknowledgedAtMs })),
      )
      t.match(await store.size(), { isFull: false, overShare: [] })
      await t.resolves(post('1', 15_000), 'and it is taken again once it has drained')
    },
  )

  t.test('dead letters take no room from posts', async (t) => {
    const storeLimitBytes = 1_000_000
    const { store } = await (await layGround(t)).open({ storeLimitBytes })
    // More bytes than the store may have, of which none is in the queue for long.
    for (let round = 0; round < 12; round++) {
      const ids = Array.from({ length: 100 }, (_, n) => `${round}-${n}-${'x'.repeat(500)}`)
      await die(
        store,
        makeBatch(ids),
        ids.map((_, index) => makeDead(index)),
      )
      // PostgreSQL's room counts what was admitted since somebody last looked.
      t.match(await store.size(), { isFull: false, overShare: [] })
    }
    t.match(await store.totals({}), { received: 1200, rejected: 1200, queued: 0 })
  })
}
