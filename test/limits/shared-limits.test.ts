import t from 'tap'
import { createSharedLimits } from '../../src/limits/shared-limits.ts'
import { TOKEN } from '../../src/limits/bucket.ts'
import { exchangeOne } from '../../src/store/postgres/buckets.ts'
import type { BucketGrant, BucketRequest } from '../../src/store/shared.ts'
import { createManualClock, runDue } from '../support/clock.ts'

/** Limits of 10 at once and 60 a minute; the store answers with what the test says. */
function setUp(answer: (request: BucketRequest) => BucketGrant) {
  const clock = createManualClock()
  const asked: BucketRequest[] = []
  const logged: unknown[] = []
  const state = { isAway: false }
  const budget = createSharedLimits({
    settings: { CALLS_PER_MINUTE: 70, CALL_BURST: 10 },
    clock,
    log: { error: ({ code }) => void logged.push(code) },
    shared: {
      async exchange(requests) {
        if (state.isAway) throw Object.assign(new Error('away'), { code: 'STORE_UNAVAILABLE' })
        asked.push(...requests)
        return requests.map(answer)
      },
    },
  })
  return { clock, asked, state, logged, ...budget }
}

const all = ({ wanted }: BucketRequest): BucketGrant => ({ granted: wanted, waitMs: 0, left: 5 })

t.test('a call waits for a token of the store, and is notified when it is there', async (t) => {
  const { callLimiter, asked } = setUp(all)
  const told: string[] = []
  callLimiter.onRefill((adAccountId) => told.push(adAccountId))
  t.ok(callLimiter.take('1') > 0)
  t.ok(callLimiter.take('1') > 0)
  await runDue()
  t.same(told, ['1'])
  t.match(asked, [
    { kind: 'call_limiter', adAccountId: '1', capacity: 10, refillPerMinute: 60, wanted: 1, holding: 0 },
  ])
  t.equal(asked.length, 1, 'asked once for both')
  t.equal(callLimiter.take('1'), 0)
  t.ok(callLimiter.take('1') > 0)
  await runDue()
  t.match(asked[1], { holding: 1, unused: 0 }, 'the call under way is held')
})

t.test('after the answer that there is none the store is not asked before its time', async (t) => {
  const { callLimiter, asked, clock } = setUp(() => ({ granted: 0, waitMs: 400, left: 0 }))
  callLimiter.take('1')
  await runDue()
  t.equal(callLimiter.take('1'), 400)
  await clock.advance(300)
  t.equal(callLimiter.take('1'), 100)
  await runDue()
  t.equal(asked.length, 1)
  await clock.advance(100)
  callLimiter.take('1')
  await runDue()
  t.equal(asked.length, 2)
})

t.test('a second of use is asked for at once, and what is unused goes back', async (t) => {
  const { callLimiter, asked, clock } = setUp(all)
  for (let call = 0; call < 6; call++) {
    if (callLimiter.take('1') > 0) {
      await runDue()
      t.equal(callLimiter.take('1'), 0)
    }
    callLimiter.finished('1')
  }
  const most = Math.max(...asked.map(({ wanted }) => wanted))
  t.ok(most > 1, 'more than one at a time')
  await clock.advance(1100)
  await clock.advance(1100)
  const last = asked.at(-1)!
  t.equal(last.holding, 0)
  const granted = asked.reduce((sum, { wanted }) => sum + wanted, 0)
  const returned = asked.reduce((sum, { unused }) => sum + unused, 0)
  t.equal(granted - returned, 6, 'six were used')
})

t.test('what a process had when it was stopped for a while it does not use', async (t) => {
  const { callLimiter, asked, clock } = setUp(({ wanted }) => ({ granted: wanted && 3, waitMs: 0, left: 0 }))
  callLimiter.take('1')
  await runDue()
  t.equal(callLimiter.take('1'), 0)
  // No timer ran meanwhile, as in a stopped process: only the clock went on.
  const nowMs = clock.monotonicMs
  Object.assign(clock, { monotonicMs: () => nowMs() + 5000 })
  t.ok(callLimiter.take('1') > 0)
  await runDue()
  t.match(asked.at(-1), { holding: 1, unused: 2 })
})

t.test('while the store is away calls wait and posts are refused; nothing is reported twice', async (t) => {
  const { callLimiter, postLimiter, state, asked, logged, clock } = setUp(all)
  state.isAway = true
  t.ok(callLimiter.take('1') > 0)
  await t.rejects(postLimiter.take('1', 60) as Promise<unknown>, { code: 'STORE_UNAVAILABLE' })
  state.isAway = false
  await clock.advance(300)
  t.equal(callLimiter.take('1'), 0)
  t.match(await postLimiter.take('1', 60), { current: Number })
  for (const { holding, unused } of asked) t.equal(holding + unused, 0)
  t.same(logged, ['STORE_UNAVAILABLE'])
  state.isAway = true
  postLimiter.giveBack('1')
  await clock.advance(3000)
  t.equal(logged.length, 2, 'once for each outage')
})

t.test('a token is not given back after its use, though the answer to the first try is lost', async (t) => {
  let bucket = { level: 10 * TOKEN, atMs: 0 }
  let own = 0
  const state = { losesAnswer: false }
  const clock = createManualClock()
  const { callLimiter } = createSharedLimits({
    settings: { CALLS_PER_MINUTE: 70, CALL_BURST: 10 },
    clock,
    log: { error: () => {} },
    shared: {
      async exchange([request]) {
        const { level, atMs, outstanding, grant } = exchangeOne(bucket, { all: own, own }, request!, 0)
        bucket = { level, atMs }
        own = outstanding
        if (state.losesAnswer) throw new Error('lost')
        return [grant]
      },
    },
  })
  let used = 0
  for (; used < 5; used++) {
    if (callLimiter.take('1') === 0) continue
    await runDue()
    t.equal(callLimiter.take('1'), 0)
  }
  state.losesAnswer = true
  await clock.advance(1000)
  await clock.advance(1000)
  for (let call = 0; call < used; call++) callLimiter.finished('1')
  state.losesAnswer = false
  await clock.advance(1100)
  // Nothing was refilled.
  t.ok(
    bucket.level / TOKEN + own <= 10 - used,
    `${bucket.level / TOKEN} and ${own} are left of 10 after ${used} calls`,
  )
})

t.test('what is given back goes to the store, for whoever wants it', async (t) => {
  const { postLimiter, asked, clock } = setUp(all)
  await postLimiter.take('1', 60)
  postLimiter.giveBack('1')
  await clock.advance(1000)
  t.match(asked.at(-1), { holding: 0, unused: 1 })
})

t.test('a post limiter refuses with the time until the next token, and says what is left', async (t) => {
  let granted = 2
  const { postLimiter } = setUp(({ wanted }) => {
    const now = Math.min(granted, wanted)
    granted -= now
    return { granted: now, waitMs: now === wanted ? 0 : 1000, left: granted }
  })
  t.match(await postLimiter.take('1', 60), { current: 59, ttl: 59_000 })
  t.match(await postLimiter.take('1', 60), { current: 60 })
  t.same(await postLimiter.take('1', 60), { current: 61, ttl: 1000 })
  t.equal(postLimiter.level('1'), 0)
})

t.test('an account that is removed and registered again has the bucket that it had', async (t) => {
  const { postLimiter, asked, clock } = setUp(all)
  const before = postLimiter.take('1', 60)
  postLimiter.forget('1')
  await Promise.all([before, postLimiter.take('1', 60)])
  t.equal(asked.length, 1)
  for (let second = 0; second < 5; second++) await clock.advance(1000)
  t.equal(postLimiter.level('1'), undefined)
})

t.test('a token that nobody takes goes back before its account is forgotten', async (t) => {
  const { callLimiter, asked, clock } = setUp(all)
  callLimiter.take('1')
  await runDue()
  for (let second = 0; second < 5; second++) await clock.advance(1000)
  t.match(asked, [
    { wanted: 1, unused: 0 },
    { wanted: 0, holding: 0, unused: 1 },
  ])
  t.equal(callLimiter.level('1'), undefined)
})

t.test('accounts that nobody uses are forgotten', async (t) => {
  const { callLimiter, clock, close } = setUp(all)
  callLimiter.take('1')
  await runDue()
  callLimiter.take('1')
  callLimiter.finished('1')
  for (let second = 0; second < 5; second++) await clock.advance(1000)
  t.equal(callLimiter.level('1'), undefined)
  close()
  t.equal(clock.pendingTimers(), 0)
})

t.test('calls of all continue after an outage, whoever had just begun to wait', async (t) => {
  const clock = createManualClock()
  const exchanges: { requests: readonly BucketRequest[]; end: (answer: Promise<BucketGrant[]>) => void }[] =
    []
  const { callLimiter } = createSharedLimits({
    settings: { CALLS_PER_MINUTE: 70, CALL_BURST: 10 },
    clock,
    log: { error: () => {} },
    shared: {
      exchange: (requests) => new Promise((resolve) => exchanges.push({ requests, end: resolve })),
    },
  })
  async function end(answer: ((request: BucketRequest) => BucketGrant) | undefined): Promise<void> {
    const { requests, end } = exchanges.shift()!
    // As PostgreSQL does.
    const isTwice = new Set(requests.map(({ adAccountId }) => adAccountId)).size < requests.length
    end(isTwice || !answer ? Promise.reject(new Error()) : Promise.resolve(requests.map(answer)))
    await runDue()
  }
  callLimiter.take('1')
  await runDue()
  callLimiter.take('1')
  await end(() => ({ granted: 0, waitMs: 500, left: 0 }))
  await clock.advance(3000)
  t.equal(exchanges.length, 1, 'what was asked for meanwhile is under way')
  for (const adAccountId of ['1', '2']) callLimiter.take(adAccountId)
  await end(undefined)
  await clock.advance(250)
  await end(all)
  for (const adAccountId of ['1', '2']) t.equal(callLimiter.take(adAccountId), 0)
})

t.test('who only waits, and is late by as much again, gets what was granted meanwhile', async (t) => {
  const { callLimiter, clock } = setUp(all)
  const waitMs = callLimiter.take('1')
  await clock.advance(2 * waitMs)
  t.equal(callLimiter.take('1'), 0)
})

t.test('an answer that waited while the process was stopped is not used', async (t) => {
  const clock = createManualClock()
  const asked: BucketRequest[] = []
  let answer = (_grants: BucketGrant[]) => {}
  const { callLimiter } = createSharedLimits({
    settings: { CALLS_PER_MINUTE: 70, CALL_BURST: 10 },
    clock,
    log: { error: () => {} },
    shared: {
      exchange(requests) {
        asked.push(...requests)
        return new Promise((resolve) => (answer = resolve))
      },
    },
  })
  callLimiter.take('1')
  await runDue()
  await clock.advance(400_000)
  answer([{ granted: 10, waitMs: 0, left: 0 }])
  await runDue()
  t.ok(callLimiter.take('1') > 0)
  await clock.advance(1000)
  t.match(asked.at(-1), { holding: 0, unused: 10 })
})
