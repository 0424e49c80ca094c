import t from 'tap'
import { createPrepareEvents } from '../../src/ingest/prepare-events.ts'
import { inTimeSlices } from '../../src/ingest/in-time-slices.ts'
import type { Account } from '../../src/vault/vault.ts'
import { LIVE, PLAIN } from '../events/raw-events.ts'

/** Each look at the clock finds so many milliseconds gone; the loop's turns are counted. */
function setUp(msPerStep: number) {
  const noted: string[] = []
  let nowMs = 0
  let turns = 0
  const loop = {
    now: () => (nowMs += msPerStep),
    nextTurn: () => {
      turns += 1
      return Promise.resolve()
    },
  }
  const prepareEvents = createPrepareEvents({
    metrics: {
      eventWarnings: { inc: ({ code }: { code: string }) => noted.push(code) },
      eventsInvalid: { inc: ({ reason }: { reason: string }) => noted.push(reason) },
    },
    matchQuality: { note: () => noted.push('match quality') },
    volumeWatch: { note: () => noted.push('volume') },
    clock: { wallMs: () => LIVE.nowMs, monotonicMs: () => 0 },
    settings: { MAX_EVENT_AGE_HOURS: LIVE.maxEventAgeMs / 3_600_000 },
    loop,
  } as unknown as Parameters<typeof createPrepareEvents>[0])
  const account = { adAccountId: '1', country: 'US', dobFormat: undefined } as unknown as Account
  const prepare = (data: readonly unknown[] | string) =>
    prepareEvents(Buffer.from(typeof data === 'string' ? data : JSON.stringify({ data })), {
      account,
      isTest: false,
      hasLeft: () => false,
    })
  return { prepare, loop, noted, turns: () => turns }
}

t.test('between any two events of a post the loop can be let go', async (t) => {
  const slow = setUp(6)
  const events = Array.from({ length: 100 }, () => PLAIN)
  t.equal((await slow.prepare(events)).length, 100)
  t.equal(slow.turns(), 100, 'each event takes longer than a turn')
  const quick = setUp(1)
  await quick.prepare(events)
  t.equal(quick.turns(), 16, 'no more often than a turn is spent')
})

t.test('a body of megabytes gives way before its first event, too', async (t) => {
  const { prepare, turns } = setUp(6)
  await prepare(Array.from({ length: 100 }, () => ({ ...PLAIN, x: 'x'.repeat(20_000) })))
  t.equal(turns(), 7 + 100, 'one per 256 KiB, one per event')
})

t.test('work of one turn is done at once', async (t) => {
  let isDone = false
  function* work(): Generator<void, void> {
    yield
    yield
    isDone = true
  }
  void inTimeSlices(work(), setUp(0).loop)
  t.ok(isDone)
})

t.test('nothing of a body counts whose last event is no JSON', async (t) => {
  const { prepare, noted } = setUp(0)
  await t.rejects(prepare(`{"data":[${JSON.stringify(PLAIN)},{"a":}]}`), { code: 'INVALID_REQUEST' })
  t.strictSame(noted, [])
  await prepare([PLAIN, 5])
  t.strictSame(noted, ['match quality', 'volume', 'not_an_object', 'match quality', 'volume'])
})
