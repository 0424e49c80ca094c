import t from 'tap'

import { createRollingLog } from '../../sandbox/rolling-log.ts'
import { createSandbox } from '../../sandbox/sandbox.ts'
import { ACCOUNT, control, post } from './post.ts'
import fc from '../support/fast-check.ts'

await t.test('a rolling log counts what a list would, however it grows and wraps', (t) => {
  const steps = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 40 }), isAdded: fc.boolean() }), {
    maxLength: 300,
  })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), (steps, maxEntries) => {
      const log = createRollingLog(100, maxEntries)
      let kept: number[] = []
      let nowMs = 0
      for (const { waitMs, isAdded } of steps) {
        nowMs += waitMs
        if (isAdded) {
          log.add(nowMs)
          kept.push(nowMs)
        }
        kept = kept.filter((atMs) => nowMs - atMs < 100).slice(-maxEntries)
        if (log.count(nowMs) !== kept.length || log.oldestMs() !== kept[0]) return false
      }
      return true
    }),
  )
  t.end()
})

await t.test('a log grows past its first capacity without losing anything', (t) => {
  const log = createRollingLog(1_000_000, 5000)
  for (let atMs = 0; atMs < 5000; atMs += 1) log.add(atMs)
  t.equal(log.count(5000), 5000)
  t.equal(log.oldestMs(), 0)
  t.equal(log.count(1_002_000), 2999)
  t.equal(log.oldestMs(), 2001)
  t.end()
})

await t.test('the limit of an account holds in every rolling minute', async (t) => {
  const clock = { nowMs: 1_760_000_000_000 }
  const startMs = clock.nowMs
  const sandbox = await createSandbox({ callsPerMinute: 3, now: () => clock.nowMs })
  t.teardown(() => sandbox.close())
  const statusAt = async (afterMs: number): Promise<number> => {
    clock.nowMs = startMs + afterMs
    return (await post(sandbox)).status
  }
  t.equal(await statusAt(0), 200)
  t.equal(await statusAt(10_500), 200)
  t.equal(await statusAt(59_000), 200)

  clock.nowMs = startMs + 59_999
  const refused = await post(sandbox)
  t.equal(refused.status, 429)
  t.equal(refused.body.code, 8)
  t.equal(refused.headers.get('retry-after'), '1')
  t.equal((await post(sandbox, { adAccountId: '7' })).status, 200, 'another account has its own')

  t.equal(await statusAt(60_000), 200, 'the first call is exactly a minute old')
  t.equal(await statusAt(70_499), 429)
  t.equal(await statusAt(70_500), 200, 'refused calls did not count')
  t.equal((await post(sandbox, { query: '?test=true' })).status, 429, 'test calls count like live ones')
  t.equal((await post(sandbox)).headers.get('retry-after'), '49')

  t.match(sandbox.stats()[ACCOUNT], {
    calls: 9,
    testCalls: 1,
    throttled: 4,
    eventsProcessed: 5,
    // At 70.5 s: the calls since 10.5 s, that one itself just gone.
    maxCallsInWindow: 7,
  })
})

await t.test('5,000 calls a minute, unless a setting says otherwise', async (t) => {
  const sandbox = await createSandbox({ now: () => 0 })
  t.teardown(() => sandbox.close())
  t.equal((await control(sandbox, 'GET', 'stats')).body['callsPerMinute'], 5000)
})

await t.test('without a limit the calls are counted all the same', async (t) => {
  const sandbox = await createSandbox({ callsPerMinute: 0, now: () => 0 })
  t.teardown(() => sandbox.close())
  for (let call = 0; call < 5; call += 1) t.equal((await post(sandbox)).status, 200)
  t.equal((await post(sandbox, { token: 'unknown' })).status, 401)
  const { body } = await control(sandbox, 'GET', 'stats')
  t.match(body, {
    callsPerMinute: 0,
    accounts: { [ACCOUNT]: { calls: 6, maxCallsInWindow: 6, throttled: 0 } },
  })
  await control(sandbox, 'DELETE', 'stats')
  t.strictSame(sandbox.stats(), {})
})
