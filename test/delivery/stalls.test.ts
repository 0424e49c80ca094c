/** No queue that has events and may call is left without somebody who asks it again. */
import t, { type Test } from 'tap'
import { createCallLimiter } from '../../src/limits/call-limiter.ts'
import type { Clock } from '../../src/clock.ts'
import { ALL_QUEUES } from '../../src/delivery/breakers.ts'
import { createDelivery } from '../../src/delivery/delivery.ts'
import { StoreUnavailable } from '../../src/errors.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { createMetrics } from '../../src/telemetry/metrics.ts'
import type { LeasedBatch, LeaseRequest, Store } from '../../src/store/store.ts'
import type { Account, Vault } from '../../src/vault/vault.ts'
import { createManualClock, runDue, type ManualClock } from '../support/clock.ts'
import { joinEvents } from '../support/payload.ts'

const QUEUES = 200

interface Stage {
  readonly clock: ManualClock
  readonly delivery: ReturnType<typeof createDelivery>
  /** One event of each account waits in the store, unless it was taken from here. */
  readonly stored: Map<string, LeasedBatch>
  readonly delivered: Set<string>
  readonly paused: Set<string>
  /** What the store answers a lease with; the default hands out what it has. */
  readonly leasing: { answer: (request: LeaseRequest) => Promise<readonly LeasedBatch[]> }
  /** Pinterest answers 429, or that it is down. */
  readonly refusal: { isOn: boolean; isDown: boolean }
  takeStored(request: LeaseRequest): readonly LeasedBatch[]
}

function setStage(t: Test, queues: number, bend: (clock: ManualClock) => Clock = (clock) => clock): Stage {
  const clock = createManualClock()
  const bent = bend(clock)
  const stored = new Map<string, LeasedBatch>()
  for (let n = 0; n < queues; n++) stored.set(`account-${n}`, storedBatch(clock, n))
  const delivered = new Set<string>()
  const paused = new Set<string>()
  const refusal = { isOn: false, isDown: false }
  const takeStored = ({ adAccountId, isTest }: LeaseRequest) => {
    const leased = isTest ? undefined : stored.get(adAccountId)
    stored.delete(adAccountId)
    return leased ? [leased] : []
  }
  const leasing: Stage['leasing'] = { answer: async (request) => takeStored(request) }
  const store: Pick<Store, 'acknowledge' | 'release' | 'lease' | 'backlog'> = {
    acknowledge: async () => {},
    release: async () => {},
    lease: (request) => leasing.answer(request),
    backlog: async () =>
      Array.from(stored.values(), ({ adAccountId, isTest, oldestEventTimeS }) => {
        return { adAccountId, isTest, batches: 1, events: 1, oldestEventTimeS }
      }),
  }
  const vault: Pick<Vault, 'account' | 'tokenOf'> = {
    account: (adAccountId) => ({ adAccountId, isPaused: paused.has(adAccountId) }) as Account,
    tokenOf: () => 'pina_secret',
  }
  const log: Log = { debug() {}, info() {}, warn() {}, error() {} }
  const delivery = createDelivery({
    store: store as Store,
    vault: vault as Vault,
    pinterest: {
      async sendEvents({ adAccountId, body }) {
        const refused = {
          kind: 'answered',
          message: '',
          retryAfter: '2',
          results: undefined,
          processedCount: undefined,
        } as const
        if (refusal.isOn) return { ...refused, status: 429, code: 8 }
        if (refusal.isDown) return { ...refused, status: 503, code: 4197 }
        delivered.add(adAccountId)
        const { data } = JSON.parse(Buffer.from(body).toString()) as { data: unknown[] }
        const results = data.map(() => ({
          status: 'processed' as const,
          errorMessage: '',
          warningMessage: '',
        }))
        return { ...refused, status: 200, code: undefined, results }
      },
      close: async () => {},
    },
    callLimiter: createCallLimiter({
      settings: { CALLS_PER_MINUTE: 5000, CALL_BURST: 500 },
      now: bent.monotonicMs,
    }),
    clock: bent,
    random: () => 0.5,
    tracing: undefined,
    callsInFlight: 2,
    callsInFlightTotal: 64,
    maxEventAgeMs: 7 * 24 * 3_600_000,
    isClockTrusted: () => true,
    tokenWatch: { accepted() {}, refused() {}, isReplacing: () => false },
    log,
    metrics: createMetrics({ version: 'test' }),
  })
  t.teardown(async () => {
    const stopped = delivery.stop(0)
    await clock.advance(1)
    await stopped
    delivery.endWaiting()
    await delivery.close()
  })
  return {
    clock,
    delivery,
    stored,
    delivered,
    paused,
    leasing,
    refusal,
    takeStored,
  }
}

function storedBatch(clock: ManualClock, n: number): LeasedBatch {
  const eventTimeS = Math.floor(clock.wallMs() / 1000)
  return {
    batchId: n + 1,
    adAccountId: `account-${n}`,
    isTest: false,
    payload: joinEvents([JSON.stringify({ event_id: `event-${n}`, event_time: eventTimeS })]),
    eventCount: 1,
    acknowledged: [],
    oldestEventTimeS: eventTimeS,
    receivedAtMs: clock.wallMs(),
    attempts: 0,
    isReplay: false,
    history: [],
  }
}

/** Timers that fire before they are due, by the clock of their callbacks. */
function firesEarly(manual: ManualClock, earlyMs: (n: number) => number): Clock {
  let n = 0
  return {
    ...manual,
    after: (delayMs, callback) => manual.after(Math.max(0, delayMs - earlyMs(n++)), callback),
  }
}

/** Besides, time goes on between two readings of one turn. */
function firesEarlyAndMovesOn(manual: ManualClock, earlyMs: number): Clock {
  let readings = 0
  const monotonicMs = () => manual.monotonicMs() + readings++ * 0.25
  return { ...firesEarly(manual, () => earlyMs), monotonicMs }
}

/** The clock of a test lets few turns of the loop pass at a time. */
async function advanceSlowly(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 50) await clock.advance(Math.min(50, left))
}

async function failLeases({ clock, delivery, leasing, takeStored }: Stage): Promise<void> {
  await clock.advance(60_000)
  leasing.answer = () => Promise.reject(new StoreUnavailable())
  await delivery.start()
  await clock.advance(500)
  leasing.answer = async (request) => takeStored(request)
  await advanceSlowly(clock, 5000)
}

const clocks: readonly (readonly [string, (clock: ManualClock) => Clock])[] = [
  ['an exact clock', (clock) => clock],
  // As on a real machine: none by a whole millisecond, some not at all.
  ['timers that fire early', (clock) => firesEarly(clock, (n) => (n % 4) * 0.29)],
]

for (const [name, bend] of clocks) {
  t.test(`${QUEUES} queues whose leases failed continue by themselves: ${name}`, async (t) => {
    const stage = setStage(t, QUEUES, bend)
    await failLeases(stage)
    t.equal(stage.delivered.size, QUEUES)
  })
}

for (const [name, bend] of clocks) {
  t.test(`${QUEUES} queues continue by themselves once Pinterest is no longer down: ${name}`, async (t) => {
    const { clock, delivery, delivered, refusal } = setStage(t, QUEUES, bend)
    await clock.advance(60_000)
    refusal.isDown = true
    await delivery.start()
    await advanceSlowly(clock, 10_000)
    t.match(delivery.queues('account-7'), [{ status: 'pinterest_down' }])
    t.equal(delivered.size, 0)
    refusal.isDown = false
    await advanceSlowly(clock, 45_000)
    t.equal(delivered.size, QUEUES)
  })
}

t.test('a pause that ends between two readings of the clock is not missed', async (t) => {
  for (let earlyMs = 0; earlyMs < 2; earlyMs += 0.1) {
    const failed = setStage(t, 1, (clock) => firesEarlyAndMovesOn(clock, earlyMs))
    await failLeases(failed)
    t.equal(failed.delivered.size, 1, `after a failed lease, ${earlyMs} ms early`)

    const limited = setStage(t, 1, (clock) => firesEarlyAndMovesOn(clock, earlyMs))
    const { clock, delivery, delivered, refusal, stored } = limited
    await clock.advance(60_000)
    refusal.isOn = true
    await delivery.start()
    await clock.advance(500)
    refusal.isOn = false
    stored.set('account-0', storedBatch(clock, 1))
    delivery.wake({ adAccountId: 'account-0', isTest: false })
    await advanceSlowly(clock, 5000)
    t.ok(delivered.size === 1 && stored.size === 0, `after a 429, ${earlyMs} ms early`)
  }
})

t.test('queues that may not lease any more do not use up the turn of those behind them', async (t) => {
  const { clock, delivery, delivered, paused, leasing, takeStored } = setStage(t, 30)
  const answers: (() => void)[] = []
  leasing.answer = (request) =>
    new Promise((resolve) => void answers.push(() => resolve(takeStored(request))))
  await clock.advance(60_000)
  await delivery.start()
  await runDue()
  t.equal(answers.length, 2, 'two lease, the others wait')
  for (let n = 2; n < 15; n++) {
    const queue = { adAccountId: `account-${n}`, isTest: false }
    delivery.learn(queue, { status: 'open', reason: 'rate_limited', forMs: 4000 })
  }
  for (let n = 15; n < 29; n++) paused.add(`account-${n}`)
  for (let ms = 0; ms < 1000; ms += 50) {
    for (const answer of answers.splice(0)) answer()
    await clock.advance(50)
  }
  t.same(delivered, new Set(['account-0', 'account-1', 'account-29']))
})

t.test('a queue that may call again, which nobody said, is asked within a minute', async (t) => {
  const { clock, delivery, delivered, paused } = setStage(t, 3)
  await clock.advance(60_000)
  for (let n = 0; n < 3; n++) paused.add(`account-${n}`)
  await delivery.start()
  await clock.advance(1000)
  paused.clear()
  await clock.advance(58_000)
  t.equal(delivered.size, 0, 'nobody asks')
  await clock.advance(2000)
  t.equal(delivered.size, 3)
})

t.test('what is in the store and was never reported is found within a minute', async (t) => {
  const { clock, delivery, delivered, stored } = setStage(t, 0)
  await delivery.start()
  stored.set('account-7', storedBatch(clock, 7))
  await clock.advance(58_000)
  t.equal(delivered.size, 0)
  await clock.advance(2000)
  t.same(delivered, new Set(['account-7']))
  await delivery.stop(0)
  t.equal(clock.pendingTimers(), 0)
})

t.test('queues that are held up by an outage and a busy store continue by themselves', async (t) => {
  const { clock, delivery, delivered, leasing, takeStored } = setStage(t, 5)
  let answer = () => {}
  const held = new Promise<void>((resolve) => (answer = resolve))
  leasing.answer = async (request) => {
    await held
    return takeStored(request)
  }
  await delivery.start()
  await clock.advance(5 * 60_000)
  delivery.learn(ALL_QUEUES, { status: 'open', reason: 'failing', forMs: 10 * 60_000 })
  answer()
  await clock.advance(5 * 60_000)
  t.equal(delivered.size, 0)
  await clock.advance(5 * 60_000 + 1000)
  t.equal(delivered.size, 5)
})
