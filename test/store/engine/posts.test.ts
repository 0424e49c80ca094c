/** What the engine makes of a body, with a store that the test plays. */
import t from 'tap'
import { createPosts, type Post } from '../../../src/store/engine/posts.ts'
import { createWork, type Work } from '../../../src/store/engine/work.ts'
import { decompress } from '../../../src/store/core/sealed.ts'
import type { NewBatch, Receipt } from '../../../src/store/store.ts'
import { LIVE, PLAIN } from '../../events/raw-events.ts'

const LONG_URL = `https://shop.example/${'x'.repeat(1000)}`

/** A wait that does not end by itself. */
const never = () => () => {}

function setUp(work?: Work, after: (delayMs: number, run: () => void) => () => void = never) {
  const committed: NewBatch[] = []
  const seen = new Set<unknown>()
  let steps = 0
  const posts = createPosts({
    store: {
      async commit(batch): Promise<Receipt> {
        committed.push(batch)
        const ids = batch.events.flatMap(({ status, trailIds }) =>
          status === 'prepared' ? [trailIds.eventId] : [],
        )
        const duplicates = ids.flatMap((eventId, index) => (seen.has(eventId) ? [index] : []))
        for (const eventId of ids) seen.add(eventId)
        return { batch: undefined, duplicates, pendingDuplicates: 0 }
      },
    },
    work: work ?? {
      async run(_bytes, begin) {
        await Promise.resolve()
        const work = begin()
        for (;;) {
          const step = work.next()
          if (step.done === true) return step.value
          steps += 1
        }
      },
    },
    webhooks: { map: () => Promise.reject(new Error()), open: () => Promise.reject(new Error()) },
    now: () => 0,
    after,
    maxEventAgeMs: LIVE.maxEventAgeMs,
  })
  const take = (data: readonly unknown[] | string, more: Partial<Post> = {}) =>
    posts.take({
      adAccountId: '1',
      isTest: false,
      payload: Buffer.from(typeof data === 'string' ? data : JSON.stringify({ data })),
      postId: 1,
      keyId: 'key',
      receivedAtMs: LIVE.nowMs,
      isClockTrusted: true,
      account: { accountCountry: 'US', dobFormat: undefined, bots: 'send' },
      ...more,
    })
  return { posts, take, committed, steps: () => steps }
}

t.test('valid events are committed as one batch; invalid ones are named by their position', async (t) => {
  const { take, committed } = setUp()
  const receipt = await take([PLAIN, 5, { ...PLAIN, event_id: 'two' }])
  t.match(receipt, {
    eventCount: 3,
    invalidCount: 1,
    remarks: [{ index: 1, error: 'the event must be an object' }],
  })
  t.equal(receipt.remarks.length, 1)
  t.match(committed, [{ events: [{}, { status: 'invalid' }, { trailIds: { eventId: 'two' } }] }])
  t.same(JSON.parse(`[${Buffer.from(committed[0]!.payload).toString()}]`).length, 2)
})

t.test('a post without a valid event is committed, too, before it is answered', async (t) => {
  const { take, committed } = setUp()
  t.match(await take([1, 2]), { batch: undefined, invalidCount: 2, tallies: [{ events: 2 }] })
  t.match(committed, [{ keys: [], payload: { byteLength: 0 }, events: { length: 2 } }])
})

t.test('nothing of a body counts whose last event is no JSON', async (t) => {
  const { take, committed } = setUp()
  await t.rejects(take(`{"data":[${JSON.stringify(PLAIN)},{"a":}]}`), { code: 'INVALID_REQUEST' })
  t.same(committed, [])
})

t.test('other work can come between any two events, and within megabytes before the first one', async (t) => {
  const { take, steps } = setUp()
  await take(Array.from({ length: 100 }, (_, n) => ({ ...PLAIN, event_id: `${n}`, x: 'x'.repeat(20_000) })))
  // One per event, and some while two megabytes are read.
  t.ok(steps() > 100 + 5, `${steps()} steps`)
})

t.test('a body is freed once it is read, but not the others of a buffer that it shares', async (t) => {
  const { take } = setUp()
  const body = new TextEncoder().encode(JSON.stringify({ data: [PLAIN] }))
  const own = Uint8Array.from(body)
  await take('', { payload: own })
  t.equal(own.buffer.detached, true)
  const shared = new Uint8Array(2 * body.byteLength)
  shared.set(body)
  await take('', { payload: shared.subarray(0, body.byteLength) })
  t.equal(shared.buffer.detached, false)
})

t.test('the payload of some events is compressed before its commit, one event is not', async (t) => {
  const { take, committed } = setUp()
  for (const count of [100, 10, 1]) {
    await take(
      Array.from({ length: count }, (_, n) => ({
        ...PLAIN,
        event_id: `id-${n}`,
        event_source_url: LONG_URL,
      })),
    )
  }
  const small = committed.pop()
  for (const { payload, compressed } of committed) {
    t.same(Buffer.from(decompress(compressed!)), Buffer.from(payload))
    t.ok(compressed!.byteLength < payload.byteLength / 4)
  }
  t.equal(committed.length, 2)
  t.equal(small!.compressed, undefined)
})

/** A hundred kilobytes each. */
const largePosts = (count: number) =>
  Array.from({ length: count }, (_, post) =>
    Array.from({ length: 80 }, (_, event) => ({
      ...PLAIN,
      event_id: `${post}-${event}`,
      event_source_url: LONG_URL,
    })),
  ).map((data) => Buffer.from(JSON.stringify({ data })))

t.test('large posts that come together are committed together, up to some bytes', async (t) => {
  /** How many of the posts were prepared when the first one was committed. */
  async function preparedBefore(payloads: readonly Buffer[]): Promise<number> {
    const { take, committed } = setUp(createWork({ now: () => performance.now(), nextTurn: setImmediate }))
    let prepared = -1
    committed.push = (batch) => {
      // A body is freed once it is read.
      if (prepared < 0) prepared = payloads.filter(({ byteLength }) => byteLength === 0).length
      return Array.prototype.push.call(committed, batch)
    }
    await Promise.allSettled(payloads.map((payload, postId) => take('', { payload, postId })))
    return prepared
  }

  t.equal(await preparedBefore(largePosts(4)), 4)
  const many = await preparedBefore(largePosts(12))
  t.ok(many >= 5 && many < 12, `${many} of 12`)
  t.equal(
    await preparedBefore([...largePosts(3), Buffer.alloc(100_000)]),
    3,
    'one that is no JSON holds none up',
  )
})

t.test('a large post waits for others for 50 ms at most', async (t) => {
  const real = createWork({ now: () => 0, nextTurn: setImmediate })
  let runs = 0
  // The first one is never prepared.
  const work: Work = {
    run: (bytes, steps) => (runs++ === 0 ? new Promise(() => {}) : real.run(bytes, steps)),
  }
  const waiting = Promise.withResolvers<() => void>()
  const { take, committed } = setUp(work, (delayMs, run) => {
    t.equal(delayMs, 50)
    waiting.resolve(run)
    return () => {}
  })
  const [one, other] = largePosts(2)
  void take('', { payload: one!, postId: 1 })
  const taken = take('', { payload: other!, postId: 2 })
  const end = await waiting.promise
  t.same(committed, [])
  end()
  await taken
  t.equal(committed.length, 1)
})

t.test('a clock in doubt refuses no event for its age', async (t) => {
  const { take, committed } = setUp()
  const old = { ...PLAIN, event_time: LIVE.nowMs / 1000 - LIVE.maxEventAgeMs / 1000 - 60 }
  await t.rejects(take([PLAIN, old], { isClockTrusted: false }), { code: 'CLOCK_IN_DOUBT' })
  t.same(committed, [])
  t.match(await take([PLAIN, old]), { invalidCount: 1 })
})

t.test('a post whose sender left is not begun; one that is under way is finished', async (t) => {
  const { posts, take, committed } = setUp()
  const left = take([PLAIN], { postId: 7 })
  posts.withdraw(7)
  await t.rejects(left, { code: 'SENDER_LEFT' })
  t.same(committed, [])
  await take([PLAIN], { postId: 8 })
  posts.withdraw(8)
  t.equal(committed.length, 1)
})

t.test(
  'nothing that is wrong with an event makes a post fail whose batch is committed already',
  async (t) => {
    const { take, committed } = setUp()
    committed.push = (batch) => {
      // Whoever reads it now fails: the batch would stay leased, and nobody would send it.
      for (const event of batch.events) Object.assign(event, { warnings: undefined })
      return Array.prototype.push.call(committed, batch)
    }
    t.match(await take([PLAIN]), { eventCount: 1, tallies: [{ events: 1 }] })
  },
)

t.test('a duplicate of another customer is reported as one', async (t) => {
  const { take } = setUp()
  const of = (em: string) => ({ ...PLAIN, user_data: { em } })
  await take([of('anna.lind@shop.example')])
  const { remarks, tallies } = await take([of('anna.lind@shop.example'), of('bea.roth@shop.example')])
  t.match(remarks, [{ index: 1, warnings: 'event_id: event_id_shared' }])
  t.equal(remarks.length, 1)
  t.equal(tallies[0]?.counts.event_id_shared, 1)
})
