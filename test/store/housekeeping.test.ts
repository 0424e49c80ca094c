import t, { type Test } from 'tap'
import { keepHouse } from '../../src/store/housekeeping.ts'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import type { ExpireRequest, ExpireStep, Store, TrimRequest, TrimStep } from '../../src/store/store.ts'
import { createManualClock } from '../support/clock.ts'

const MINUTE_MS = 60_000

function setUp(t: Test) {
  const clock = createManualClock()
  const forgotten: number[] = []
  const expired: ExpireRequest[] = []
  const logged: unknown[] = []
  const warned: unknown[] = []
  const trust = { isClockTrusted: true }
  /** What `expire` answers next; nothing when there is none. */
  const counts: (ExpireStep | Error)[] = []
  const told: number[] = []
  const trimRequests: TrimRequest[] = []
  /** What `trim` of dead letters answers next; nothing when there is none. */
  const steps: TrimStep[] = []
  const trimmed: TrimStep[] = []
  const trimmedTrail: number[] = []
  /** What `trim` of the trail answers next. */
  const rowsLeft: number[] = []
  const store: Pick<Store, 'trimDedupe' | 'expire' | 'trim'> = {
    trimDedupe: async (seenBeforeMs) => void forgotten.push(seenBeforeMs),
    async trim(request) {
      if (request.table === 'trail') {
        trimmedTrail.push(request.beforeMs)
        return { tooOld: rowsLeft.shift() ?? 0, overPart: 0 }
      }
      trimRequests.push(request)
      return steps.shift() ?? { tooOld: 0, overPart: 0 }
    },
    async expire(request) {
      expired.push(request)
      const count = counts.shift() ?? { expired: 0, hasMore: false }
      if (count instanceof Error) throw count
      return count
    },
  }
  const house = keepHouse({
    store: store as Store,
    settings: {
      DEDUPE_HOURS: 1000 / 3_600_000,
      MAX_EVENT_AGE_HOURS: 5000 / 3_600_000,
      TRAIL_HOURS: 30_000 / 3_600_000,
      DEAD_LETTER_DAYS: 20_000 / 86_400_000,
    },
    metrics: {
      countEvents: (_account: string, _outcome: string, count: number) => void told.push(count),
      deadLetters: { inc() {} },
      deadLettersDeleted: {
        inc({ reason }: { reason: string }, count: number) {
          if (reason === 'too_old') trimmed.push({ tooOld: count, overPart: 0 })
          else trimmed.push({ ...trimmed.pop()!, overPart: count })
        },
      },
    } as unknown as Metrics,
    isClockTrusted: () => trust.isClockTrusted,
    clock,
    log: {
      debug() {},
      info() {},
      warn: (fields) => void warned.push(fields),
      error: (fields) => void logged.push(fields),
    },
  })
  t.teardown(() => house.close())
  return {
    clock,
    forgotten,
    expired,
    logged,
    trust,
    counts,
    told,
    house,
    trimRequests,
    steps,
    trimmed,
    trimmedTrail,
    rowsLeft,
    warned,
  }
}

t.test('every minute the store expires what is too old, in steps, until nothing is left', async (t) => {
  const { clock, expired, counts, told } = setUp(t)
  await clock.advance(MINUTE_MS - 1)
  t.equal(expired.length, 0)
  for (const expired of [100, 0, 3]) counts.push({ expired, hasMore: true })
  await clock.advance(1)
  t.equal(expired.length, 4)
  t.same(told, [100, 3])
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
  trust.isClockTrusted = false
  await clock.advance(11 * MINUTE_MS)
  t.same([forgotten.length, expired.length], [0, 0])
  trust.isClockTrusted = true
  await clock.advance(10 * MINUTE_MS)
  t.same([forgotten.length, expired.length], [1, 10])
})

t.test('a clock that is set while it is asked about is not believed', async (t) => {
  const { clock, forgotten, trust } = setUp(t)
  const beforeMs = clock.wallMs()
  Object.defineProperty(trust, 'isClockTrusted', {
    get() {
      // It is right until it is asked about, and wrong from then until the answer is used.
      const rightMs = clock.wallMs()
      clock.setWall(rightMs + 400 * 24 * 60 * MINUTE_MS)
      queueMicrotask(() => clock.setWall(rightMs))
      return true
    },
  })
  await clock.advance(MINUTE_MS)
  t.same(forgotten, [beforeMs + MINUTE_MS - 1000])
})

t.test('the clock is asked before each step', async (t) => {
  const { clock, expired, trust, counts } = setUp(t)
  for (const expired of [1, 1, 1, 1]) counts.push({ expired, hasMore: true })
  const push = expired.push.bind(expired)
  expired.push = (...requests) => {
    trust.isClockTrusted = expired.length < 1
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

t.test('every ten seconds dead letters that are too old or too many are deleted, in steps', async (t) => {
  const { clock, trimRequests, steps, trimmed } = setUp(t)
  await clock.advance(9999)
  t.equal(trimRequests.length, 0)
  const found = [
    { tooOld: 500, overPart: 0 },
    { tooOld: 3, overPart: 4 },
  ]
  steps.push(...found)
  await clock.advance(1)
  t.equal(trimRequests.length, 3)
  t.match(trimRequests[0], { beforeMs: clock.wallMs() - 20_000 })
  t.same(trimmed, found)
})

t.test('while the clock is not trusted no dead letter is too old, but they are bounded', async (t) => {
  const { clock, trimRequests, steps, trimmed, trust } = setUp(t)
  trust.isClockTrusted = false
  steps.push({ tooOld: 0, overPart: 2 })
  await clock.advance(10_000)
  t.match(trimRequests, [{ beforeMs: 0 }, { beforeMs: 0 }])
  t.same(trimmed, [{ tooOld: 0, overPart: 2 }])
})

t.test('every ten seconds what is too old of the event trail is deleted, in steps', async (t) => {
  const { clock, trimmedTrail, rowsLeft, trust } = setUp(t)
  rowsLeft.push(500, 3)
  await clock.advance(10_000)
  t.same(trimmedTrail, Array(3).fill(clock.wallMs() - 30_000))
  trust.isClockTrusted = false
  await clock.advance(10_000)
  t.equal(trimmedTrail.at(-1), 0, 'while the clock is not trusted nothing is too old')
})

t.test(
  'dead letters that had to go for newer ones are reported at most once a minute, all of them',
  async (t) => {
    const { clock, steps, warned } = setUp(t)
    steps.push({ tooOld: 9, overPart: 0 })
    await clock.advance(10_000)
    t.same(warned, [], 'age is nothing to tell')
    steps.push({ tooOld: 0, overPart: 5 })
    await clock.advance(10_000)
    t.match(warned, [{ events: 5, reason: 'dead_letters_full' }])
    for (const overPart of [1, 2, 3]) {
      steps.push({ tooOld: 0, overPart })
      await clock.advance(10_000)
    }
    t.equal(warned.length, 1)
    await clock.advance(30_000)
    t.match(warned, [{ events: 5 }, { events: 6 }])
    await clock.advance(10 * MINUTE_MS)
    t.equal(warned.length, 2)
  },
)
