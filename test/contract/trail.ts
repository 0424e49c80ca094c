/** The event trail and erasure, over any store. */
import type { Test } from 'tap'
import type { NewBatch, Store } from '../../src/store/store.ts'
import type { PostedEvent, TrailEvent, TrailFilter } from '../../src/store/trail.ts'
import { splitEvents } from '../../src/store/payload.ts'
import { askAll, LIVE, makeDead, makePost, NOW_MS, NOW_S, readTrail } from '../store/batches.ts'
import type { LayGround } from './store.ts'

const NOTHING = makePost([])
const CALL = { id: 'call-1', startedAtMs: NOW_MS + 20 }

const INVALID: PostedEvent = {
  eventName: undefined,
  trailIds: { eventId: 'bad', orderId: undefined },
  eventTimeS: undefined,
  status: 'invalid',
  reason: 'missing_field',
  warnings: [{ code: 'late_event' }, { code: 'late_event' }],
}
const FILTERED: PostedEvent = {
  ...INVALID,
  eventName: 'checkout',
  trailIds: { eventId: 'bot', orderId: undefined },
  eventTimeS: NOW_S - 3,
  status: 'filtered',
  reason: 'bot_user_agent',
}

const find = (store: Store, filter: TrailFilter = {}) => readTrail(store, filter)

const shown = (events: readonly TrailEvent[]) => events.map((one) => [one.eventId, one.outcome])

async function batchIdOf(store: Store, batch: NewBatch): Promise<number> {
  return (await store.commit(batch)).batch!.batchId
}

export function testTrail(t: Test, layGround: LayGround): void {
  testOutcomes(t, layGround)
  testSearches(t, layGround)
  testKept(t, layGround)
  testErasure(t, layGround)
}

function testOutcomes(t: Test, layGround: LayGround): void {
  t.test('every event of a post is found by its id, with what became of it', async (t) => {
    const { store } = await (await layGround(t)).open({ wallMs: () => NOW_MS })
    await store.commit(makePost(['seen']))
    const post = makePost(['a', 'seen', 'b', 'c', 'd'], {
      orderIds: ['4711'],
      beside: [INVALID, FILTERED],
    })
    const batchId = await batchIdOf(store, post)
    t.match(await find(store, { orderId: '4711' }), [
      {
        ...LIVE,
        eventName: 'checkout',
        eventId: 'a',
        orderId: '4711',
        eventTimeS: NOW_S,
        outcome: 'queued',
        attempts: 0,
        receivedAtMs: NOW_MS,
        updatedAtMs: NOW_MS,
        keyId: 'key-1',
        source: undefined,
        callId: undefined,
        warnings: [],
        history: [{ atMs: NOW_MS, reason: 'received' }, { reason: 'committed' }],
      },
    ])
    const failures = [{ atMs: NOW_MS + 10, reason: 'status_503' }]
    await store.acknowledge([
      {
        batchId,
        delivered: [0],
        dead: [makeDead(1), makeDead(2, 'expired', [{ atMs: NOW_MS + 10, reason: 'status_503' }])],
        acknowledgedAtMs: NOW_MS + 50,
        call: CALL,
        failures,
      },
    ])
    t.match(await find(store, { eventId: 'a' }), [
      {
        outcome: 'delivered',
        attempts: 2,
        updatedAtMs: NOW_MS + 50,
        callId: 'call-1',
        history: [
          { reason: 'received' },
          { reason: 'committed' },
          failures[0],
          { atMs: NOW_MS + 20, reason: 'called' },
          { atMs: NOW_MS + 50, reason: 'delivered' },
        ],
      },
    ])
    t.match(await find(store, { eventId: 'b' }), [
      { outcome: 'rejected', reason: 'invalid_value', attempts: 1 },
    ])
    t.match(await find(store, { eventId: 'c' }), [{ outcome: 'expired', callId: 'call-1' }])
    t.match(await find(store, { eventId: 'd' }), [{ outcome: 'queued' }])
    t.same(shown(await find(store, { eventId: 'seen' })), [
      ['seen', 'duplicate'],
      ['seen', 'queued'],
    ])
    t.match(await find(store, { eventId: 'bad' }), [
      { outcome: 'invalid', reason: 'missing_field', eventName: undefined, warnings: ['late_event'] },
    ])
    await store.commit({
      ...NOTHING,
      events: [
        { ...INVALID, eventName: 'jane@example.com', trailIds: { eventId: 'named', orderId: undefined } },
      ],
    })
    t.match(await find(store, { eventId: 'named' }), [{ eventName: undefined }])
    t.match(await find(store, { eventId: 'bot' }), [
      { outcome: 'filtered', reason: 'bot_user_agent', eventTimeS: NOW_S - 3 },
    ])
    // An outcome counts once.
    await store.acknowledge([
      { batchId, delivered: 'rest', dead: [makeDead(0)], acknowledgedAtMs: NOW_MS + 99 },
    ])
    t.match(await find(store, { eventId: 'a' }), [{ outcome: 'delivered', updatedAtMs: NOW_MS + 50 }])
    t.match(await find(store, { eventId: 'd' }), [{ outcome: 'delivered', updatedAtMs: NOW_MS + 99 }])
  })

  t.test(
    'batches of one call are delivered together; a post without a batch is in the trail, too',
    async (t) => {
      const { store } = await (await layGround(t)).open()
      const ids = Array.from({ length: 200 }, (_, n) => `id-${n}`)
      const batchIds = await Promise.all(ids.map((id) => batchIdOf(store, makePost([id]))))
      const whole = { delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS + 5, call: CALL } as const
      await store.acknowledge(batchIds.map((batchId) => ({ batchId, ...whole })))
      await store.commit({ ...NOTHING, events: [INVALID] })
      const all = await store.events({ limit: 500 })
      t.same(shown(all.events), [['bad', 'invalid'], ...ids.toReversed().map((id) => [id, 'delivered'])])
      t.match(
        all.events.slice(1),
        ids.map(() => ({ callId: 'call-1', attempts: 1, updatedAtMs: NOW_MS + 5 })),
      )
    },
  )

  t.test('a replayed dead letter is an event of its own', async (t) => {
    const { store } = await (await layGround(t)).open()
    const batchId = await batchIdOf(store, makePost(['a']))
    const acknowledgedAtMs = NOW_MS + 1
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [makeDead(0)], acknowledgedAtMs }])
    await store.replay({ limit: 10, oldestEventTimeS: 0, nowMs: NOW_MS + 1000 })
    t.match(await find(store, { eventId: 'a' }), [
      {
        outcome: 'queued',
        reason: 'replayed',
        receivedAtMs: NOW_MS + 1000,
        history: [{ reason: 'replayed' }, {}],
      },
      { outcome: 'rejected', reason: 'invalid_value' },
    ])
    const [leased] = await store.lease(askAll({ nowMs: NOW_MS + 1000 }))
    await store.acknowledge([
      {
        batchId: leased!.batchId,
        delivered: 'rest',
        dead: [],
        acknowledgedAtMs,
        call: CALL,
        failures: leased!.history,
      },
    ])
    t.match(await find(store, { eventId: 'a' }), [
      { outcome: 'delivered', attempts: 1 },
      { outcome: 'rejected' },
    ])
  })

  t.test('what expires in the store is in the trail', async (t) => {
    const { store } = await (await layGround(t)).open()
    const batchId = await batchIdOf(store, makePost(['old', 'new'], { eventTimesS: [NOW_S - 100, NOW_S] }))
    await store.release([{ batchId, attempts: 0, history: [] }])
    await store.expire({ oldestEventTimeS: NOW_S - 50, limit: 10, nowMs: NOW_MS + 7 })
    t.same(shown(await find(store)), [
      ['new', 'queued'],
      ['old', 'expired'],
    ])
  })
}

function testSearches(t: Test, layGround: LayGround): void {
  t.test('events are found by any of their properties, newest first, page by page', async (t) => {
    const { store } = await (await layGround(t)).open()
    for (let n = 0; n < 150; n++) {
      const options = { adAccountId: n % 3 === 0 ? '1' : '2', isTest: n % 2 === 0, receivedAtMs: NOW_MS + n }
      const batchId = await batchIdOf(store, makePost([`id-${n}`, `more-${n}`], options))
      if (n % 50 === 0)
        await store.acknowledge([
          { batchId, delivered: [0], dead: [makeDead(1)], acknowledgedAtMs: NOW_MS + n },
        ])
    }
    const count = async (filter: TrailFilter) => (await readTrail(store, filter)).length
    t.equal(await count({}), 300)
    t.equal(await count({ adAccountId: '1' }), 100)
    t.equal(await count({ isTest: true }), 150)
    t.equal(await count({ outcome: 'rejected' }), 3)
    t.equal(await count({ outcome: 'queued' }), 294)
    t.equal(await count({ eventName: 'checkout', eventId: 'id-7' }), 1)
    t.equal(await count({ eventId: 'id-' }), 0)
    t.equal(await count({ source: 'shop' }), 0)
    await store.commit({
      ...NOTHING,
      adAccountId: '3',
      receivedAtMs: NOW_MS + 100,
      source: 'shop',
      events: [INVALID],
    })
    t.equal(await count({ source: 'shop' }), 1)
    t.equal(await count({ source: 'shop', outcome: 'invalid', adAccountId: '3' }), 1)
    t.equal(await count({ source: 'shop', adAccountId: '2' }), 0)
    t.equal(await count({ adAccountId: '3', outcome: 'delivered' }), 0)
    t.equal(await count({ sinceMs: NOW_MS + 140 }), 20)
    t.equal(await count({ untilMs: NOW_MS + 10 }), 20)
    t.equal(await count({ eventId: 'id-100', outcome: 'delivered' }), 1)

    const paged: string[] = []
    let cursor: string | undefined
    do {
      const page = await store.events({ limit: 7, ...(cursor === undefined ? {} : { cursor }) })
      paged.push(...page.events.map(({ eventId }) => eventId!))
      cursor = page.cursor
      // What comes meanwhile moves nothing.
      await store.commit(makePost([`late-${paged.length}`]))
    } while (cursor !== undefined)
    t.same(
      paged,
      [...Array.from({ length: 150 }, (_, n) => [`id-${n}`, `more-${n}`]).flat(), 'bad'].toReversed(),
    )
  })

  t.test('who follows the trail gets what was added and what has changed', async (t) => {
    const { store } = await (await layGround(t)).open()
    await store.commit(makePost(['before']))
    const { position } = await store.trailChanges(undefined)
    const batchId = await batchIdOf(store, makePost(['a']))
    await store.commit(makePost(['b']))
    const first = await store.trailChanges(position)
    t.same(shown(first.events), [
      ['a', 'queued'],
      ['b', 'queued'],
    ])
    await store.acknowledge([{ batchId, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS }])
    const second = await store.trailChanges(first.position)
    t.same(shown(second.events), [['a', 'delivered']])
    t.same((await store.trailChanges(second.position)).events, [])
  })

  t.test('dead letters are found by event id and by order id', async (t) => {
    const { store } = await (await layGround(t)).open()
    const events = ['a', 'b'].map((id) =>
      JSON.stringify({
        event_name: 'checkout',
        event_time: NOW_S,
        event_id: id,
        custom_data: { order_id: `o-${id}` },
      }),
    )
    const batch = { ...makePost(['a', 'b']), payload: Buffer.from(events.join(',\n')) }
    const batchId = await batchIdOf(store, batch)
    const dead = [makeDead(0), makeDead(1)]
    await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
    for (const filter of [{ eventId: 'a' }, { orderId: 'o-a' }]) {
      t.match(await store.deadLetters({ limit: 10, ...filter }), [{ eventId: 'a', orderId: 'o-a' }])
    }
    t.same(await store.deadLetters({ limit: 10, orderId: 'a' }), [])
  })
}

function testKept(t: Test, layGround: LayGround): void {
  t.test('the trail and the totals agree after a crash', async (t) => {
    const ground = await layGround(t)
    const { store } = await ground.open({ willCrash: true })
    const batchIds = await Promise.all(
      ['a', 'b', 'c'].map((id) => batchIdOf(store, makePost([id, `${id}2`]))),
    )
    await store.acknowledge([
      { batchId: batchIds[0]!, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS },
    ])
    const acknowledged = store.acknowledge([
      { batchId: batchIds[1]!, delivered: [0], dead: [makeDead(1)], acknowledgedAtMs: NOW_MS },
    ])
    const settled = acknowledged.catch(() => undefined)
    await ground.crash()
    await settled
    const after = (await ground.open()).store
    const events = await find(after)
    const totals = await after.totals({})
    t.equal(events.length, totals.received)
    for (const outcome of ['delivered', 'rejected', 'queued'] as const) {
      t.equal(events.filter((event) => event.outcome === outcome).length, totals[outcome], outcome)
    }
  })

  t.test('what is too old goes, and its outcomes with it; the rest stays', async (t) => {
    const { store } = await (await layGround(t)).open()
    const old: number[] = []
    for (let n = 0; n < 70; n++) old.push(await batchIdOf(store, makePost([`old-${n}`])))
    await store.acknowledge([
      { batchId: old[0]!, delivered: 'rest', dead: [], acknowledgedAtMs: NOW_MS + 9000 },
    ])
    // Now and then, whether or not anything is too old.
    await trimAll(store, NOW_MS)
    const fresh = await batchIdOf(store, makePost(['new'], { receivedAtMs: NOW_MS + 9000 }))
    await trimAll(store, NOW_MS + 1000)
    t.same(shown(await find(store)), [['new', 'queued']])
    await store.acknowledge(
      [old[1]!, fresh].map((batchId) => ({
        batchId,
        delivered: 'rest' as const,
        dead: [],
        acknowledgedAtMs: NOW_MS + 9000,
      })),
    )
    t.same(shown(await find(store)), [['new', 'delivered']])
    await trimAll(store, NOW_MS + 9001)
    t.same(await find(store), [])
  })

  t.test(
    'the trail keeps within its part of the store, oldest first out, and takes no room from posts',
    async (t) => {
      const { store } = await (await layGround(t)).open({ storeLimitBytes: 2 * 1024 * 1024 })
      const events = Array.from({ length: 200 }, (_, n) => ({
        ...INVALID,
        eventId: `bad-${n}-${'x'.repeat(50)}`,
      }))
      for (let n = 0; n < 150; n++) {
        const own = events.map((event) => ({ ...event, eventId: `${n}-${event.eventId}-${Math.random()}` }))
        await store.commit({ ...NOTHING, events: own })
        if (n % 25 === 0) await trimAll(store, 0)
      }
      await store.commit(makePost(['last']))
      await trimAll(store, 0)
      const found = await readTrail(store)
      t.ok(found.length > 1000 && found.length < 25_000, String(found.length))
      t.match(found[0], { eventId: 'last' })
      const size = await store.size()
      t.equal(size.isFull, false)
    },
  )
}

async function trimAll(store: Store, beforeMs: number): Promise<void> {
  for (let deleted = 1; deleted > 0;) {
    const { tooOld, overPart } = await store.trim({ table: 'trail', beforeMs, limit: 20 })
    deleted = tooOld + overPart
  }
}

function testErasure(t: Test, layGround: LayGround): void {
  t.test(
    'erasing takes payloads from the queue and from dead letters, and the totals still add up',
    async (t) => {
      const { store } = await (await layGround(t)).open()
      const waiting = await batchIdOf(store, makePost(['a', 'b', 'c']))
      const other = await batchIdOf(store, makePost(['a'], { adAccountId: '2' }))
      const leased = await batchIdOf(store, makePost(['a'], { isTest: true }))
      const died = await batchIdOf(store, makePost(['d']))
      await store.acknowledge([
        { batchId: died, delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS },
        { batchId: waiting, delivered: [1], dead: [], acknowledgedAtMs: NOW_MS },
      ])
      await store.release([waiting, other].map((batchId) => ({ batchId, attempts: 0, history: [] })))
      const request = { adAccountId: LIVE.adAccountId, nowMs: NOW_MS + 3 }
      t.same(await store.erase({ ...request, eventId: 'a' }), { queued: 1, deadLetters: 0, leased: 1 })
      t.same(await store.erase({ ...request, eventId: 'd' }), { queued: 0, deadLetters: 1, leased: 0 })
      t.same(
        await store.erase({ ...request, eventId: 'b' }),
        { queued: 0, deadLetters: 0, leased: 0 },
        'delivered',
      )
      const [batch] = await store.lease(askAll())
      t.same(batch!.acknowledged, [0, 1])
      t.same(splitEvents(batch!.payload).slice(0, 2), ['{}', '{}'])
      t.match(JSON.parse(splitEvents(batch!.payload)[2]!), { event_id: 'c' })
      t.same(await store.deadLetters({ limit: 10 }), [])
      t.match(await store.totals({}), { received: 6, delivered: 1, filtered: 1, rejected: 1, queued: 3 })
      t.match(await find(store, { eventId: 'a', adAccountId: LIVE.adAccountId, isTest: false }), [
        { outcome: 'erased', reason: undefined, updatedAtMs: NOW_MS + 3 },
      ])
      t.match(await find(store, { eventId: 'a', isTest: true }), [{ outcome: 'queued' }])
      t.match(await find(store, { eventId: 'a', adAccountId: '2' }), [{ outcome: 'queued' }])
      t.match(await find(store, { eventId: 'd' }), [{ outcome: 'erased' }])
      t.match(await find(store, { eventId: 'b' }), [{ outcome: 'delivered' }])
      t.same(
        (await store.commit(makePost(['a']))).duplicates,
        [0],
        'it does not come back with the next try of its sender',
      )
      await store.release([{ batchId: leased, attempts: 0, history: [] }])
      t.match(await store.erase({ ...request, eventId: 'a' }), { queued: 1, leased: 0 })
    },
  )

  t.test(
    'what dies or is replayed meanwhile is erased, too; what is delivered beside others is counted',
    async (t) => {
      const { store } = await (await layGround(t)).open()
      const [died, dies, others] = await Promise.all(
        [['a'], ['b'], ['c', 'd']].map((ids) => batchIdOf(store, makePost(ids))),
      )
      const end = { delivered: [], dead: [makeDead(0)], acknowledgedAtMs: NOW_MS }
      await store.acknowledge([{ ...end, batchId: died! }])
      const [waited] = await Promise.all([
        store.erase({ eventId: 'a', nowMs: NOW_MS }),
        store.replay({ limit: 10, oldestEventTimeS: 0, nowMs: NOW_MS }),
      ])
      t.match(waited, { queued: 0, deadLetters: 1 })
      const [erased] = await Promise.all([
        store.erase({ eventId: 'b', nowMs: NOW_MS }),
        store.acknowledge([{ ...end, batchId: dies! }]),
      ])
      t.match(erased, { deadLetters: 1, leased: 0 })
      t.same(await store.deadLetters({ limit: 10 }), [])
      await store.acknowledge([{ batchId: others!, delivered: [0], dead: [], acknowledgedAtMs: NOW_MS }])
      t.match(await store.erase({ eventId: 'c', nowMs: NOW_MS }), { queued: 0, leased: 1 })
    },
  )

  t.test(
    'a dead letter is replayed and erased by an event id or order id that is kept nowhere in the clear, and no other one',
    async (t) => {
      const { store } = await (await layGround(t)).open()
      const orders = ['jane@example.com', 'joe@example.com']
      const texts = orders.map((order_id, index) =>
        JSON.stringify({
          event_name: ['checkout', 'joe@example.com'][index],
          event_time: NOW_S,
          event_id: `e-${index}`,
          custom_data: { order_id },
        }),
      )
      const batch = { ...makePost(['e-0', 'e-1']), payload: Buffer.from(texts.join(',\n')) }
      const batchId = await batchIdOf(store, batch)
      await store.acknowledge([
        { batchId, delivered: [], dead: [makeDead(0), makeDead(1)], acknowledgedAtMs: NOW_MS },
      ])
      const request = { orderId: 'jane@example.com', nowMs: NOW_MS }
      t.same(await store.erase(request), { queued: 0, deadLetters: 1, leased: 0 })
      t.match(await store.deadLetters({ limit: 10 }), [{ eventName: '', eventId: 'e-1', orderId: undefined }])

      const address = 'jack@example.com'
      const die = async (id: string) =>
        store.acknowledge([
          {
            batchId: await batchIdOf(store, makePost([id])),
            delivered: [],
            dead: [makeDead(0)],
            acknowledgedAtMs: NOW_MS,
          },
        ])
      const ids = async () => (await store.deadLetters({ limit: 10 })).map(({ eventId }) => eventId)
      const replaying = { limit: 10, oldestEventTimeS: 0, nowMs: NOW_MS }
      await die(address)
      await die('e-3')
      t.same(await ids(), ['e-3', undefined, 'e-1'])
      t.match(
        await store.replay({ ...replaying, eventId: 'joe@example.com' }),
        { replayed: 0 },
        'by its whole id only',
      )
      t.match(await store.purge({ ...replaying, eventId: address }), { purged: 1 })
      await die(address)
      t.notMatch(JSON.stringify(await store.auditTrail({ limit: 10 })), 'jack')
      await store.addAudit({ atMs: NOW_MS, action: 'erase', details: { event_id: address } })
      const hidden = await store.auditTrail({ limit: 10, ofId: address })
      t.match(hidden, [{ action: 'erase' }])
      t.notMatch(JSON.stringify(hidden), 'jack')
      t.same(await store.auditTrail({ limit: 10, ofId: 'e-9' }), [])
      t.same(await store.erase({ eventId: address, nowMs: NOW_MS }), { queued: 0, deadLetters: 1, leased: 0 })
      t.same(await ids(), ['e-3', 'e-1'])
      await die(address)
      t.match(await store.replay(replaying), { replayed: 3 })
      t.same((await store.commit(makePost([address]))).duplicates, [0], 'known again by its whole id')
    },
  )

  t.test(
    "what was found to be a customer's when it was posted is no id of a dead letter, whatever becomes of the event",
    async (t) => {
      const ground = await layGround(t)
      const [phone, name] = ['6505550155', 'Herberta-Quillfeather']
      const found = [
        { eventId: 'seen', orderId: undefined },
        { eventId: null, orderId: '4711' },
        { eventId: 'kept', orderId: null },
      ]
      const plain = makePost(['seen', phone, 'kept'])
      const texts = ['1', '4711', name].map((order_id, index) =>
        JSON.stringify({
          event_name: 'checkout',
          event_time: NOW_S,
          event_id: plain.events[index]!.trailIds.eventId,
          custom_data: { order_id },
        }),
      )
      const events = plain.events.map((event, index) => ({ ...event, trailIds: found[index]! }))
      const post = { ...plain, events, payload: Buffer.from(texts.join(',\n')) }

      const first = await ground.open()
      await first.store.commit(makePost(['seen']))
      const { batch, duplicates } = await first.store.commit(post)
      t.same(duplicates, [0], 'positions of the stored events are not those of the posted ones')
      await first.close()
      const second = await ground.open()
      const [again] = (await second.store.lease(askAll())).filter(({ batchId }) => batchId === batch!.batchId)
      const dead = [makeDead(0), makeDead(1)]
      const acknowledgement = { batchId: again!.batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }
      await second.store.acknowledge([acknowledgement])
      const shown = [
        { eventId: 'kept', orderId: undefined },
        { eventId: undefined, orderId: '4711' },
      ]
      t.match(await second.store.deadLetters({ limit: 10 }), shown)
      t.match(await second.store.deadLetters({ limit: 10, eventId: phone }), [shown[1]])
      t.match(await second.store.deadLetters({ limit: 10, orderId: name }), [shown[0]])
      t.same(await second.store.deadLetters({ limit: 10, eventId: name }), [])
      const step = { limit: 10, nowMs: NOW_MS }
      t.match(await second.store.replay({ ...step, oldestEventTimeS: 0, eventId: phone }), { replayed: 1 })
      await second.close()

      const { store } = await ground.open()
      t.same((await store.commit(post)).duplicates, [0, 1], 'it is known again')
      t.match(await store.expire({ ...step, oldestEventTimeS: NOW_S + 1 }), { expired: 2 })
      const expired = { limit: 10, status: 'expired', eventId: phone } as const
      t.match(await store.deadLetters(expired), [{ eventId: undefined, orderId: '4711', reason: 'too_old' }])
      t.match(await store.purge({ ...step, orderId: name }), { purged: 1 })
      t.match(await store.erase({ eventId: phone, nowMs: NOW_MS }), { deadLetters: 1 })
      const kept = [await readTrail(store), await store.auditTrail(step), await store.deadLetters(step)]
      t.notMatch(JSON.stringify(kept), phone)
      t.notMatch(JSON.stringify(kept), name)
    },
  )

  t.test('an order id of any characters finds and erases its events and dead letters', async (t) => {
    const { store } = await (await layGround(t)).open()
    const ids = ['nul\0x', 'tab\tid', 'a\nb', '\u0085', '\u202e4711', '😀', `'"%_\\`]
    const texts = ids.map((order_id, n) =>
      JSON.stringify({
        event_name: 'checkout',
        event_time: NOW_S,
        event_id: `e-${n}`,
        custom_data: { order_id },
      }),
    )
    const post = makePost(
      ids.map((_, n) => `e-${n}`),
      { orderIds: ids },
    )
    const batchId = await batchIdOf(store, { ...post, payload: Buffer.from(texts.join(',\n')) })
    const dead = ids.map((_, n) => makeDead(n))
    await store.acknowledge([{ batchId, delivered: [], dead, acknowledgedAtMs: NOW_MS }])
    for (const [n, orderId] of ids.entries()) {
      t.match(await find(store, { orderId }), [{ eventId: `e-${n}`, orderId, outcome: 'rejected' }])
      t.match(await store.deadLetters({ limit: 10, orderId }), [{ eventId: `e-${n}` }])
      t.match(await store.erase({ orderId, nowMs: NOW_MS }), { deadLetters: 1 })
    }
  })

  t.test('by order id, a batch goes with its last event', async (t) => {
    const ground = await layGround(t)
    const { store } = await ground.open({ willCrash: true })
    const json = JSON.stringify({
      event_name: 'checkout',
      event_time: NOW_S,
      event_id: 'a',
      custom_data: { order_id: '4711' },
    })
    const batch = { ...makePost(['a'], { orderIds: ['4711'] }), payload: Buffer.from(json) }
    const batchId = await batchIdOf(store, batch)
    await store.release([{ batchId, attempts: 0, history: [] }])
    t.match(await store.erase({ orderId: '471', nowMs: NOW_MS }), { queued: 0 })
    t.match(await store.erase({ orderId: '4711', nowMs: NOW_MS }), { queued: 1 })
    t.same(await store.backlog(), [])
    await ground.crash()
    const after = (await ground.open()).store
    t.same(await after.lease(askAll()), [])
    t.match(await find(after, { orderId: '4711' }), [{ outcome: 'erased' }])
    t.match(await after.totals({}), { received: 1, filtered: 1, queued: 0 })
  })
}
