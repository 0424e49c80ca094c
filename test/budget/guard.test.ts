import t from 'tap'
import { createGuard } from '../../src/budget/guard.ts'
import { keepsToLimit, mostInAnyMinute } from './guard.ts'

t.test('a bucket of unknown history begins empty', async (t) => {
  let nowMs = 5
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  t.equal(guard.take('1'), 13)
  nowMs += 13
  t.equal(guard.take('1'), 0)
})

t.test('another account does not notice', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  nowMs = 60_000
  for (let call = 0; call < 250; call++) {
    t.equal(guard.take('1'), 0)
    guard.finished('1')
  }
  t.not(guard.take('1'), 0)
  t.equal(guard.take('2'), 0)
})

t.test('what arrives late still counts: a call in flight occupies its place in the bucket', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 60, callBurst: 10, now: () => nowMs })
  nowMs = 600_000
  for (let call = 0; call < 4; call++) t.equal(guard.take('1'), 0)
  nowMs = 1_200_000
  t.equal(guard.level('1'), 6, 'the bucket refilled only around the calls that are still out')
  for (let call = 0; call < 4; call++) guard.finished('1')
  t.equal(guard.level('1'), 6, 'coming back adds nothing by itself')
  nowMs += 60_000
  t.equal(guard.level('1'), 10)
})

t.test('never more than CALLS_PER_MINUTE in any rolling 60 seconds, whatever happens', async () =>
  keepsToLimit(500),
)

t.test('saturated, it uses at least 94 % of the limit, and never more than all of it', async (t) => {
  let nowMs = 0
  const guard = createGuard({ callsPerMinute: 5000, callBurst: 250, now: () => nowMs })
  const moments: number[] = []
  const perMinute: number[] = []
  for (let minute = 0; minute < 10; minute++) {
    let calls = 0
    for (; nowMs < (minute + 1) * 60_000; nowMs += 1) {
      while (guard.take('1') === 0) {
        guard.finished('1')
        moments.push(nowMs)
        calls += 1
      }
    }
    perMinute.push(calls)
  }
  t.ok(Math.min(...perMinute) >= 4700, `the slowest minute had ${Math.min(...perMinute)} calls`)
  t.ok(mostInAnyMinute(moments) <= 5000, `the fullest minute had ${mostInAnyMinute(moments)} calls`)
})
