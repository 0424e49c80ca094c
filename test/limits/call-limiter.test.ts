import t from 'tap'
import { createCallLimiter } from '../../src/limits/call-limiter.ts'
import { keepsToLimit, mostInAnyMinute } from './call-limiter.ts'

t.test('a bucket of unknown history begins empty', async (t) => {
  let nowMs = 5
  const callLimiter = createCallLimiter({
    settings: { CALLS_PER_MINUTE: 5000, CALL_BURST: 250 },
    now: () => nowMs,
  })
  t.equal(callLimiter.take('1'), 13)
  nowMs += 13
  t.equal(callLimiter.take('1'), 0)
})

t.test('another account does not notice', async (t) => {
  let nowMs = 0
  const callLimiter = createCallLimiter({
    settings: { CALLS_PER_MINUTE: 5000, CALL_BURST: 250 },
    now: () => nowMs,
  })
  nowMs = 60_000
  for (let call = 0; call < 250; call++) {
    t.equal(callLimiter.take('1'), 0)
    callLimiter.finished('1')
  }
  t.not(callLimiter.take('1'), 0)
  t.equal(callLimiter.take('2'), 0)
})

t.test('what arrives late still counts: a call in flight occupies its place in the bucket', async (t) => {
  let nowMs = 0
  const callLimiter = createCallLimiter({
    settings: { CALLS_PER_MINUTE: 60, CALL_BURST: 10 },
    now: () => nowMs,
  })
  nowMs = 600_000
  for (let call = 0; call < 4; call++) t.equal(callLimiter.take('1'), 0)
  nowMs = 1_200_000
  t.equal(callLimiter.level('1'), 6, 'the bucket refilled only around the calls that are still out')
  for (let call = 0; call < 4; call++) callLimiter.finished('1')
  t.equal(callLimiter.level('1'), 6, 'coming back adds nothing by itself')
  nowMs += 60_000
  t.equal(callLimiter.level('1'), 10)
})

t.test('never more than CALLS_PER_MINUTE in any rolling 60 seconds, whatever happens', async () =>
  keepsToLimit(500),
)

t.test('saturated, it uses at least 94 % of the limit, and never more than all of it', async (t) => {
  let nowMs = 0
  const callLimiter = createCallLimiter({
    settings: { CALLS_PER_MINUTE: 5000, CALL_BURST: 250 },
    now: () => nowMs,
  })
  const moments: number[] = []
  const perMinute: number[] = []
  for (let minute = 0; minute < 10; minute++) {
    let calls = 0
    for (; nowMs < (minute + 1) * 60_000; nowMs += 1) {
      while (callLimiter.take('1') === 0) {
        callLimiter.finished('1')
        moments.push(nowMs)
        calls += 1
      }
    }
    perMinute.push(calls)
  }
  t.ok(Math.min(...perMinute) >= 4700, `the slowest minute had ${Math.min(...perMinute)} calls`)
  t.ok(mostInAnyMinute(moments) <= 5000, `the fullest minute had ${mostInAnyMinute(moments)} calls`)
})
