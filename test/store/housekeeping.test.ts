import t, { type Test } from 'tap'
import { keepHouse } from '../../src/store/housekeeping.ts'
import type { ExpireRequest, Store } from '../../src/store/store.ts'
import { createManualClock } from '../support/clock.ts'

const MINUTE_MS = 60_000

function setUp(t: Test) {
  const clock = createManualClock()
  const forgotten: number[] = []
  const expired: ExpireRequest[] = []
  const logged: unknown[] = []
  const trust = { mayDestroy: true }
  /** What `expire` answers next; 0 when there is nothing. */
  const counts: (number | Error)[] = []
  const told: number[] = []
  const store: Pick<Store, 'forgetSeen' | 'expire'> = {
    forgetSeen: async (seenBeforeMs) => void forgotten.push(seenBeforeMs),
    async expire(request) {
      expired.push(request)
      const count = counts.shift() ?? 0
      if (count instanceof Error) throw count
      return count
    },
  }
  const house = keepHouse({
    store: store as Store,
    dedupeMs: 1000,
    maxEventAgeMs: 5000,
    onExpired: (events) => void told.push(events),
    mayDestroy: () => trust.mayDestroy,
    clock,
    log: { debug() {}, info() {}, warn() {}, error: (fields) => void logged.push(fields) },
  })
  t.teardown(() => house.close())
  return { clock, forgotten, expired, logged, trust, counts, told, house }
}

t.test('every minute the store expires what is too old, in steps, until nothing is left', async (t) => {
  const { clock, expired, counts, told } = setUp(t)
  await clock.advance(MINUTE_MS - 1)
  t.equal(expired.length, 0)
  counts.push(100, 100, 3)
  await clock.advance(1)
  t.equal(expired.length, 4)
  t.same(told, [100, 100, 3])
  t.match(expired[0], { oldestEventTimeS: Math.floor((clock.wallMs() - 5000) / 1000), nowMs: clock.wallMs() })
  await clock.advance(MINUTE_MS)
  t.equal(expired.length, 5)
})

t.test('soon after the start, and then every ten minutes, it forgets what was seen', async (t) => {
  const { clock, forgotten } = setUp(t)
  await clock.advance(MINUTE_MS)
  t.same(forgotten, [clock.wallMs() - 1000])
  await clock.advance(10 * MINUTE_MS)
  t.equal(forgotten.length, 2)
})

t.test('while the clock is not trusted nothing is destroyed; later it is', async (t) => {
  const { clock, forgotten, expired, trust } = setUp(t)
  trust.mayDestroy = false
  await clock.advance(11 * MINUTE_MS)
  t.same([forgotten.length, expired.length], [0, 0])
  trust.mayDestroy = true
  await clock.advance(10 * MINUTE_MS)
  t.same([forgotten.length, expired.length], [1, 10])
})

t.test('a clock that is set while it is asked about is not believed', async (t) => {
  const { clock, forgotten, trust } = setUp(t)
  const beforeMs = clock.wallMs()
  Object.defineProperty(trust, 'mayDestroy', {
    get() {
      // It was right until it was asked about, and is wrong from then on.
      clock.setWall(beforeMs + 400 * 24 * 60 * MINUTE_MS)
      return true
    },
  })
  await clock.advance(MINUTE_MS)
  t.same(forgotten, [beforeMs + MINUTE_MS - 1000])
})

t.test('the clock is asked before each step', async (t) => {
  const { clock, expired, trust, counts } = setUp(t)
  counts.push(1, 1, 1, 1)
  const push = expired.push.bind(expired)
  expired.push = (...requests) => {
    trust.mayDestroy = expired.length < 1
    return push(...requests)
  }
  await clock.advance(MINUTE_MS)
  t.equal(expired.length, 2)
})

t.test('a store that fails is asked again the next time', async (t) => {
  const { clock, expired, counts, logged } = setUp(t)
  counts.push(Object.assign(new Error('full'), { code: 'STORE_UNAVAILABLE' }))
  await clock.advance(2 * MINUTE_MS)
  t.equal(expired.length, 2)
  t.same(logged, [{ code: 'STORE_UNAVAILABLE' }])
})

t.test('once closed it does nothing more', async (t) => {
  const { clock, expired, forgotten, house } = setUp(t)
  house.close()
  await clock.advance(20 * MINUTE_MS)
  t.same([forgotten.length, expired.length], [0, 0])
  t.equal(clock.pendingTimers(), 0)
})
