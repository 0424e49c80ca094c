/**
 * What every store promises, as tests that run over any implementation. A ground is a place for one store that can be
 * opened, closed and opened again.
 */
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { splitEvents } from '../../src/store/payload.ts'
import type { Books, LeasedParcel, Store } from '../../src/store/store.ts'
import type { MasterKeys } from '../../src/vault/seal.ts'
import type { AccountRow, KeyRow, VaultStore } from '../../src/vault/vault-store.ts'
import { askAll, LIVE, makeDead, makeEvent, makeParcel, NOW_MS, NOW_S, TEST } from '../store/parcels.ts'

export interface OpenedStore {
  readonly store: Store
  readonly vaultStore: VaultStore
  close(): Promise<void>
}

export interface OpenOptions {
  readonly masterKeys?: MasterKeys
  readonly leaseMs?: number
}

export interface Ground {
  /** What is open is closed before `layGround`'s test ends. */
  open(options?: OpenOptions): Promise<OpenedStore>
}

export type LayGround = (t: Test) => Promise<Ground>

const NO_BOOKS: Books = {
  received: 0,
  delivered: 0,
  rejected: 0,
  expired: 0,
  queued: 0,
  duplicate: 0,
  refused: 0,
}
const MINUTE_MS = 60_000

export function testStore(t: Test, layGround: LayGround): void {
  testCommits(t, layGround)
  testDedupe(t, layGround)
  testSettlements(t, layGround)
  testLeases(t, layGround)
  testDeadLetters(t, layGround)
  testKeys(t, layGround)
  testVault(t, layGround)
}

function testCommits(t: Test, layGround: LayGround): void {
  t.test('a committed parcel is there after a restart, byte for byte', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const parcel = makeParcel(['a', 'b'], { eventTimesS: [NOW_S, NOW_S - 5], refusedCount: 3 })
    const receipt = await first.store.commit(parcel)
    t.same(receipt.duplicates, [])
    await first.close()

    const { store } = await ground.open()
    const [leased] = await store.lease(askAll())
    t.match(leased, {
      ...LIVE,
      parcelId: receipt.parcelId,
      eventCount: 2,
      settled: [],
      oldestEventTimeS: NOW_S - 5,
      receivedAtMs: NOW_MS,
      attempts: 0,
    })
    t.same(Buffer.from(leased!.payload), Buffer.from(parcel.payload))
    t.same(await store.backlog(), [{ ...LIVE, parcels: 1, events: 2 }])
    t.same(await store.books({}), { ...NO_BOOKS, received: 2, queued: 2, refused: 3 })
  })

  t.test('commits at the same time get parcels of their own', async (t) => {
    const { store } = await (await layGround(t)).open()
    const names = Array.from({ length: 50 }, (_, index) => `event-${index}`)
    const receipts = await Promise.all(names.map((name) => store.commit(makeParcel([name]))))
    t.equal(new Set(receipts.map(({ parcelId }) => parcelId)).size, 50)
    t.match(await store.books({}), { received: 50, queued: 50 })
  })

  t.test('the caller may reuse the bytes of a payload once its commit is done', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const parcel = makeParcel(['a'])
    await first.store.commit(parcel)
    t.same(parcel.payload.byteLength, makeEvent('a').length, 'they were not taken away')
    parcel.payload.fill(0)
    await first.close()
    const { store } = await ground.open()
    t.same(eventsOf((await store.lease(askAll()))[0]!), [makeEvent('a')])
  })

  t.test('each lane has books of its own, and refusals are counted apart', async (t) => {
    const { store } = await (await layGround(t)).open()
    await store.commit(makeParcel(['a']))
    await store.commit(makeParcel(['a', 'b'], { isTest: true }))
    await store.commit(makeParcel(['a'], { adAccountId: '1' }))
    await store.countRefused(TEST, 4)
    t.same(await store.books({ adAccountId: '1' }), { ...NO_BOOKS, received: 1, queued: 1 })
    t.same(await store.books({ ...LIVE }), { ...NO_BOOKS, received: 1, queued: 1 })
    t.same(await store.books({ isTest: true }), { ...NO_BOOKS, received: 2, queued: 2, refused: 4 })
    t.same(await store.books({}), { ...NO_BOOKS, received: 4, queued: 4, refused: 4 })
    t.same(await store.books({ adAccountId: 'unknown' }), NO_BOOKS)
  })

  t.test('the size grows with what is stored', async (t) => {
    const { store } = await (await layGround(t)).open()
    const before = await store.size()
    await store.commit(makeParcel([`large-${'x'.repeat(1_000_000)}`]))
    const after = await store.size()
    t.ok(after.usedBytes >= before.usedBytes + 1_000_000)
    t.ok(after.diskFreeBytes > 0)
  })
}

function testDedupe(t: Test, layGround: LayGround): void {
  t.test('an event is taken once, in its post, beside it, and after a restart', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const [receipt, beside] = await Promise.all([
      first.store.commit(makeParcel(['a', 'b', 'a'], { eventTimesS: [NOW_S, NOW_S, NOW_S - 900] })),
      first.store.commit(makeParcel(['b'])),
    ])
    t.same(receipt.duplicates, [2])
    t.same(beside, { parcelId: undefined, duplicates: [0], pendingDuplicates: 1 })
    await first.close()

    const { store } = await ground.open()
    t.same((await store.commit(makeParcel(['c', 'a']))).duplicates, [1])
    const parcels = await store.lease(askAll())
    t.match(parcels, [{ eventCount: 2, oldestEventTimeS: NOW_S }], 'a duplicate does not make a parcel older')
    t.same(eventsOf(parcels[0]!), [makeEvent('a'), makeEvent('b')])
    t.same(await store.books({}), { ...NO_BOOKS, received: 6, queued: 3, duplicate: 3 })
  })

  t.test('events are told apart by account, name and id', async (t) => {
    const { store } = await (await layGround(t)).open()
    const named = (eventName: string, eventId: string) => {
      const parcel = makeParcel([eventId])
      return { ...parcel, events: [{ eventName, eventId, eventTimeS: NOW_S }] }
    }
    t.same((await store.commit(named('lead', 'x1'))).duplicates, [])
    t.same((await store.commit(named('leadx', '1'))).duplicates, [])
    t.same((await store.commit(named('lead', 'x1'))).duplicates, [0])
    t.same((await store.commit({ ...named('lead', 'x1'), adAccountId: '1' })).duplicates, [])
  })

  t.test('test events are never duplicates, nor do they make any', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (let post = 0; post < 2; post++) {
      t.same((await store.commit(makeParcel(['a', 'a'], { isTest: true }))).duplicates, [])
    }
    t.same((await store.commit(makeParcel(['a']))).duplicates, [])
  })

  t.test('a delivered event is still a duplicate; a rejected or expired one may come again', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { parcelId } = await store.commit(makeParcel(['a', 'b', 'c']))
    const dead = [makeDead(1), makeDead(2, 'expired')]
    await store.settle([{ parcelId: parcelId!, delivered: 'rest', dead, settledAtMs: NOW_MS }])
    t.same((await store.commit(makeParcel(['a', 'b', 'c']))).duplicates, [0])
  })

  t.test('what was seen long ago is forgotten, but not what is still queued', async (t) => {
    const { store } = await (await layGround(t)).open()
    const delivered = await store.commit(makeParcel(['old']))
    await store.settle([{ parcelId: delivered.parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])
    await store.commit(makeParcel(['queued']))
    const young = await store.commit(makeParcel(['young'], { receivedAtMs: NOW_MS + 1 }))
    await store.settle([{ parcelId: young.parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])

    await store.forgetSeen(NOW_MS)
    t.same((await store.commit(makeParcel(['old']))).duplicates, [0], 'not before its time')
    await store.forgetSeen(NOW_MS + 1)
    t.same((await store.commit(makeParcel(['old', 'queued', 'young']))).duplicates, [1, 2])
  })

  t.test('forgetting walks through thousands of events', async (t) => {
    const { store } = await (await layGround(t)).open()
    const ids = Array.from({ length: 9000 }, (_, index) => `event-${index}`)
    for (let start = 0; start < ids.length; start += 1000) {
      const { parcelId } = await store.commit(makeParcel(ids.slice(start, start + 1000)))
      await store.settle([{ parcelId: parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])
    }
    await store.forgetSeen(NOW_MS + 1)
    t.same((await store.commit(makeParcel(ids))).duplicates, [])
  })
}

function testSettlements(t: Test, layGround: LayGround): void {
  t.test('a settled parcel is gone for good', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { parcelId } = await first.store.commit(makeParcel(['a', 'b']))
    await first.store.settle([{ parcelId: parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])
    t.same(await first.store.backlog(), [])
    await first.close()
    const { store } = await ground.open()
    t.same(await store.lease(askAll()), [])
    t.same(await store.books({}), { ...NO_BOOKS, received: 2, delivered: 2 })
  })

  t.test('a parcel that is settled in part keeps the rest, at the same positions', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const ids = Array.from({ length: 12 }, (_, index) => `event-${index}`)
    const { parcelId } = await first.store.commit(makeParcel(ids))
    await first.store.settle([
      {
        parcelId: parcelId!,
        delivered: [0, 10],
        dead: [makeDead(3), makeDead(9, 'expired')],
        settledAtMs: NOW_MS,
      },
    ])
    await first.close()

    const { store } = await ground.open()
    const [leased] = await store.lease(askAll())
    t.match(leased, { parcelId, eventCount: 12, settled: [0, 3, 9, 10] })
    t.same(eventsOf(leased!), ids.map(makeEvent))
    t.same(await store.backlog(), [{ ...LIVE, parcels: 1, events: 8 }])
    const books = { ...NO_BOOKS, received: 12, rejected: 1, expired: 1 }
    t.same(await store.books({}), { ...books, delivered: 2, queued: 8 })

    await store.settle([{ parcelId: parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])
    t.same(await store.books({}), { ...books, delivered: 10 })
  })

  t.test('settling twice changes nothing', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { parcelId } = await store.commit(makeParcel(['a', 'b', 'c']))
    const part = { parcelId: parcelId!, delivered: [0], dead: [makeDead(1)], settledAtMs: NOW_MS }
    const rest = { parcelId: parcelId!, delivered: 'rest' as const, dead: [], settledAtMs: NOW_MS }
    await Promise.all([store.settle([part]), store.settle([part])])
    t.match(await store.books({}), { delivered: 1, rejected: 1, queued: 1 })
    await store.settle([{ ...part, delivered: [1], dead: [makeDead(0)] }])
    t.match(await store.books({}), { delivered: 1, rejected: 1, queued: 1 }, 'the first verdict stands')
    await Promise.all([store.settle([rest]), store.settle([rest]), store.settle([part])])
    t.match(await store.books({}), { delivered: 2, rejected: 1, queued: 0 })
    t.equal((await store.deadLetters({ limit: 10 })).length, 1)
  })

  t.test('an event that a parcel does not have is refused, and nothing else with it', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { parcelId } = await store.commit(makeParcel(['a']))
    const wrong = { parcelId: parcelId!, delivered: [1], dead: [], settledAtMs: NOW_MS }
    const [refused, beside] = await Promise.allSettled([
      store.settle([wrong]),
      store.commit(makeParcel(['b'])),
      store.settle([{ ...wrong, delivered: [], dead: [makeDead(7)] }]).catch(() => undefined),
    ])
    t.equal(refused.status, 'rejected')
    t.equal(beside.status, 'fulfilled')
    t.same(await store.books({}), { ...NO_BOOKS, received: 2, queued: 2 })
  })
}

function testLeases(t: Test, layGround: LayGround): void {
  t.test('a committed parcel belongs to who committed it, until it is released', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { parcelId } = await store.commit(makeParcel(['a']))
    t.same(await store.lease(askAll()), [])
    await store.release([{ parcelId: parcelId!, attempts: 3 }])
    t.match(await store.lease(askAll()), [{ parcelId, attempts: 3 }])
    t.same(await store.lease(askAll()), [], 'and then to who leased it')
  })

  t.test('attempts outlive a restart', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { parcelId } = await first.store.commit(makeParcel(['a']))
    await first.store.release([{ parcelId: parcelId!, attempts: 7 }])
    await first.close()
    const { store } = await ground.open()
    t.match(await store.lease(askAll()), [{ parcelId, attempts: 7 }])
  })

  t.test('two that lease at once share the parcels', async (t) => {
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
    t.equal(new Set(leased.flat().map(({ parcelId }) => parcelId)).size, 4)
  })

  t.test('what is on time comes first, closest to the edge first; then the late, oldest first', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const agesS: Record<string, number> = { new: 0, middle: 1800, edge: 3599, late: 3600, older: 9000 }
    for (const [id, ageS] of Object.entries(agesS)) {
      await first.store.commit(makeParcel([id, `${id}-too`], { eventTimesS: [NOW_S, NOW_S - ageS] }))
    }
    await first.close()
    const { store } = await ground.open()
    const order = []
    for (let n = 0; n < 5; n++) order.push(...(await store.lease(askAll({ maxEvents: 1 }))))
    t.same(order.map(idOf), ['edge', 'middle', 'new', 'older', 'late'])
  })

  t.test('a lease holds as many parcels as fit, and at least one', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    for (const ids of [['a', 'b', 'c'], ['d', 'e'], ['f'], ['g']]) await first.store.commit(makeParcel(ids))
    await first.close()
    const { store } = await ground.open()
    const ids = async (limits: { maxEvents?: number; maxBytes?: number }) => {
      const parcels = await store.lease(askAll(limits))
      await store.release(parcels)
      return parcels.map(idOf)
    }
    t.same(await ids({ maxEvents: 1 }), ['a'])
    t.same(await ids({ maxEvents: 5 }), ['a', 'd'])
    t.same(await ids({ maxEvents: 6 }), ['a', 'd', 'f'])
    t.same(await ids({ maxBytes: 1 }), ['a'])
    t.same(await ids({ maxBytes: makeParcel(['a', 'b', 'c']).payload.byteLength * 2 }), ['a', 'd', 'f'])
    t.same(await ids({}), ['a', 'd', 'f', 'g'])
  })

  t.test('only what is pending counts against the limit', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { parcelId } = await first.store.commit(makeParcel(['a', 'b', 'c', 'd']))
    await first.store.settle([{ parcelId: parcelId!, delivered: [1, 2, 3], dead: [], settledAtMs: NOW_MS }])
    await first.store.commit(makeParcel(['e']))
    await first.close()
    const { store } = await ground.open()
    t.equal((await store.lease(askAll({ maxEvents: 2 }))).length, 2)
  })

  t.test('lanes do not mix', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    await first.store.commit(makeParcel(['live']))
    await first.store.commit(makeParcel(['test'], { isTest: true }))
    await first.store.commit(makeParcel(['other'], { adAccountId: '1' }))
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

  t.test('a lease ends at its deadline', async (t) => {
    const { store } = await (await layGround(t)).open({ leaseMs: MINUTE_MS })
    const { parcelId } = await store.commit(makeParcel(['a']))
    t.same(await store.lease(askAll({ nowMs: NOW_MS + MINUTE_MS - 1 })), [])
    t.match(await store.lease(askAll({ nowMs: NOW_MS + MINUTE_MS })), [{ parcelId }])
    t.same(await store.lease(askAll({ nowMs: NOW_MS + 2 * MINUTE_MS - 1 })), [])
    t.match(await store.lease(askAll({ nowMs: NOW_MS + 2 * MINUTE_MS })), [{ parcelId }])
  })

  t.test('a parcel that is gone cannot be released', async (t) => {
    const { store } = await (await layGround(t)).open()
    const { parcelId } = await store.commit(makeParcel(['a']))
    await store.settle([{ parcelId: parcelId!, delivered: 'rest', dead: [], settledAtMs: NOW_MS }])
    await store.release([{ parcelId: parcelId!, attempts: 1 }])
    t.same(await store.lease(askAll()), [])
  })
}

function testDeadLetters(t: Test, layGround: LayGround): void {
  t.test('a dead letter tells who it was, why and when it died', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const { parcelId } = await first.store.commit(makeParcel(['a', 'b']))
    const dead = [
      { index: 1, status: 'expired', reason: 'too_old', message: 'Grew old.', attempts: 9 },
    ] as const
    await first.store.settle([{ parcelId: parcelId!, delivered: [], dead, settledAtMs: NOW_MS + 5 }])
    await first.close()
    const { store } = await ground.open()
    const [letter] = await store.deadLetters({ limit: 1 })
    t.match(letter, {
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
  })

  t.test('dead letters are listed newest first, filtered, page by page', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (const [round, adAccountId] of ['1', '2', '1'].entries()) {
      const parcel = makeParcel([`x${round}`, `y${round}`], { adAccountId })
      const { parcelId } = await store.commit(parcel)
      const dead = [makeDead(0), { ...makeDead(1), reason: 'other' }]
      await store.settle([{ parcelId: parcelId!, delivered: [], dead, settledAtMs: NOW_MS + round }])
    }
    const ids = async (query: Partial<Parameters<Store['deadLetters']>[0]>) =>
      (await store.deadLetters({ limit: 10, ...query })).map(({ eventId }) => eventId)
    t.same(await ids({}), ['y2', 'x2', 'y1', 'x1', 'y0', 'x0'])
    t.same(await ids({ adAccountId: '1' }), ['y2', 'x2', 'y0', 'x0'])
    t.same(await ids({ reason: 'other' }), ['y2', 'y1', 'y0'])
    t.same(await ids({ eventName: 'lead' }), [])
    t.same(await ids({ eventName: 'checkout', adAccountId: '2', reason: 'invalid_value' }), ['x1'])
    const page = await store.deadLetters({ limit: 4 })
    t.same(await ids({ limit: 4, beforeId: page.at(-1)!.id }), ['y0', 'x0'])
  })
}

function testKeys(t: Test, layGround: LayGround): void {
  t.test('what an older master key sealed opens, is sealed again, and then no longer needs it', async (t) => {
    const ground = await layGround(t)
    const older: MasterKeys = { current: randomBytes(32) }
    const both: MasterKeys = { current: randomBytes(32), previous: older.current }
    const first = await ground.open({ masterKeys: older })
    for (const id of ['a', 'b', 'c']) await first.store.commit(makeParcel([id]))
    const doomed = await first.store.commit(makeParcel(['d']))
    await first.store.settle([
      {
        parcelId: doomed.parcelId!,
        delivered: [],
        dead: [makeDead(0)],
        settledAtMs: NOW_MS,
      },
    ])
    await first.close()

    const second = await ground.open({ masterKeys: both })
    const [leased] = await second.store.lease(askAll({ maxEvents: 1 }))
    t.same(eventsOf(leased!), [makeEvent('a')])
    await second.close()
    await t.rejects(ground.open({ masterKeys: { current: both.current } }), { code: 'WRONG_MASTER_KEY' })

    const third = await ground.open({ masterKeys: both })
    t.equal(await third.store.reseal(2), 2)
    t.equal(await third.store.reseal(10), 1)
    t.equal(await third.store.reseal(10), 1, 'the dead letter')
    t.equal(await third.store.reseal(10), 0)
    await third.close()

    const { store } = await ground.open({ masterKeys: { current: both.current } })
    t.same((await store.lease(askAll())).map(idOf), ['a', 'b', 'c'])
    t.equal(await store.reseal(10), 0)
  })
}

function testVault(t: Test, layGround: LayGround): void {
  t.test('accounts and relay keys are kept, replaced and deleted', async (t) => {
    const ground = await layGround(t)
    const first = await ground.open()
    const bare: AccountRow = {
      adAccountId: '1',
      label: 'Shop',
      country: undefined,
      dobFormat: undefined,
      postsPerMinute: undefined,
      isPaused: false,
      sealedToken: Buffer.from('sealed'),
      tokenLast4: 'abcd',
      tokenSetAtMs: NOW_MS,
      createdAtMs: NOW_MS,
    }
    const full = { ...bare, country: 'de', dobFormat: 'DMY', postsPerMinute: 10, isPaused: true } as const
    const key: KeyRow = {
      keyId: 'k1',
      label: 'Storefront',
      adAccountIds: ['1', '2'],
      keyHash: randomBytes(32),
      createdAtMs: NOW_MS,
    }
    await first.vaultStore.putAccount(bare)
    await first.vaultStore.putAccount({ ...full, adAccountId: '2' })
    await first.vaultStore.putKey(key)
    await first.vaultStore.putKey({ ...key, keyId: 'k2', createdAtMs: NOW_MS + 1 })
    await first.close()

    const second = await ground.open()
    t.same(await second.vaultStore.accounts(), [bare, { ...full, adAccountId: '2' }])
    t.same(await second.vaultStore.keys(), [key, { ...key, keyId: 'k2', createdAtMs: NOW_MS + 1 }])
    await second.vaultStore.putAccount(full)
    await second.vaultStore.deleteAccount('2')
    await second.vaultStore.deleteKey('k1')
    await second.close()

    const { vaultStore } = await ground.open()
    t.same(await vaultStore.accounts(), [full])
    t.match(await vaultStore.keys(), [{ keyId: 'k2' }])
  })
}

/** One parcel per id, waiting. */
async function fill(ground: Ground, ids: readonly string[]): Promise<void> {
  const { store, close } = await ground.open()
  await Promise.all(ids.map((id) => store.commit(makeParcel([id]))))
  await close()
}

function eventsOf(parcel: LeasedParcel): string[] {
  return splitEvents(parcel.payload)
}

/** The first event's id. */
function idOf(parcel: LeasedParcel): string {
  return (JSON.parse(eventsOf(parcel)[0]!) as { event_id: string }).event_id
}
