/** Whatever the store answers, and when: once it answers again every account calls, and nothing is kept from other replicas. */
import t from 'tap'
import { TOKEN } from '../../src/limits/bucket.ts'
import { createSharedLimits } from '../../src/limits/shared-limits.ts'
import { exchangeOne } from '../../src/store/postgres/buckets.ts'
import type { BucketGrant, BucketRequest } from '../../src/store/shared.ts'
import { createManualClock, runDue } from '../support/clock.ts'
import fc from '../support/fast-check.ts'

const CAPACITY = 3
const ACCOUNTS = ['1', '2']
type Answer = 'given' | 'refused' | 'lost'

const adAccountId = fc.constantFrom(...ACCOUNTS)
const step = fc.oneof(
  fc.record({ act: fc.constantFrom('call', 'end call', 'post', 'forget'), adAccountId }),
  fc.record({ act: fc.constant('pass'), ms: fc.oneof(fc.nat(300), fc.nat(3000)) }),
  fc.record({
    act: fc.constant('answer'),
    answer: fc.constantFrom<Answer>('given', 'given', 'refused', 'lost'),
  }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** A store that answers when it is told to. */
function setUp() {
  const clock = createManualClock()
  const buckets = new Map<string, { level: number; atMs: number; own: number }>()
  const waiting: ((answer: Answer) => void)[] = []
  const isTwice: boolean[] = []
  function exchange(requests: readonly BucketRequest[]): BucketGrant[] {
    const nowMs = clock.monotonicMs()
    return requests.map((request) => {
      const { kind, capacity } = request
      const name = `${kind} ${request.adAccountId}`
      const level = kind === 'post_limiter' ? capacity * TOKEN : 0
      const { own, ...bucket } = buckets.get(name) ?? { level, atMs: nowMs, own: 0 }
      const { outstanding, grant, ...after } = exchangeOne(bucket, { all: own, own }, request, nowMs)
      buckets.set(name, { level: after.level, atMs: after.atMs, own: outstanding })
      return grant
    })
  }
  const limits = createSharedLimits({
    settings: { CALLS_PER_MINUTE: CAPACITY + 60, CALL_BURST: CAPACITY },
    clock,
    log: { error: () => {} },
    shared: {
      exchange: (requests) =>
        new Promise((resolve, reject) => {
          const names = new Set(requests.map(({ kind, adAccountId: id }) => `${kind} ${id}`))
          isTwice.push(names.size < requests.length)
          waiting.push((answer) => {
            const grants = answer === 'refused' ? [] : exchange(requests)
            if (answer === 'given') resolve(grants)
            else reject(new Error(answer))
          })
        }),
    },
  })
  async function answer(answered: Answer): Promise<void> {
    waiting.shift()?.(answered)
    await runDue()
  }
  return { clock, buckets, isTwice, answer, ...limits }
}

async function isKept(steps: readonly Step[]): Promise<boolean> {
  const { clock, buckets, isTwice, answer, callLimiter, postLimiter, close } = setUp()
  const calls: string[] = []
  for (const one of steps) {
    if ('ms' in one) await clock.advance(one.ms)
    else if ('answer' in one) await answer(one.answer)
    else if (one.act === 'call' && callLimiter.take(one.adAccountId) === 0) calls.push(one.adAccountId)
    else if (one.act === 'end call' && calls.length > 0) callLimiter.finished(calls.shift()!)
    else if (one.act === 'post') void Promise.resolve(postLimiter.take(one.adAccountId, 5)).catch(() => {})
    else if (one.act === 'forget') postLimiter.forget(one.adAccountId)
  }
  for (const called of calls) callLimiter.finished(called)
  const quiet = new Set(ACCOUNTS)
  for (let quarter = 0; quarter < 60; quarter++) {
    for (const id of quiet) {
      if (callLimiter.take(id) > 0) continue
      callLimiter.finished(id)
      quiet.delete(id)
    }
    await clock.advance(250)
    await answer('given')
  }
  close()
  const held = Array.from(buckets.values(), ({ own }) => own)
  return !isTwice.includes(true) && quiet.size === 0 && held.every((own) => own === 0)
}

t.test('after any outage all accounts call, and no token stays behind', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 80 }), isKept), {
    numRuns: 100,
  })
  t.pass('held')
})
