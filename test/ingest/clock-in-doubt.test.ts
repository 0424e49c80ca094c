/** What posts are answered while the relay knows that its wall clock was set, by the whole relay on a hand-set clock. */
import t, { type Test } from 'tap'
import { systemClock, type Clock } from '../../src/clock.ts'
import { readMetrics } from '../support/admin.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp, type Answer } from '../support/relay.ts'
import { shopifyHeaders, shopifyOrder } from '../support/shop-payloads.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

interface HandSet {
  readonly clock: Clock
  /** What the wall clock is wrong by. */
  wrongMs: number
  /** Time that has passed besides, on both clocks. */
  passedMs: number
}

function handSet(): HandSet {
  const hand = { wrongMs: 0, passedMs: 0 }
  const clock: Clock = {
    wallMs: () => systemClock.wallMs() + hand.wrongMs + hand.passedMs,
    monotonicMs: () => systemClock.monotonicMs() + hand.passedMs,
    after: systemClock.after,
  }
  return Object.assign(hand, { clock })
}

/** So many milliseconds before now, by a clock that is right. */
function eventOf(hand: HandSet, id: string, ageMs = 0) {
  const nowMs = hand.clock.wallMs() - hand.wrongMs
  return rawEvent({ event_id: id, event_time: Math.floor((nowMs - ageMs) / 1000) })
}

function isPutOff(t: Test, answer: Answer, what: string): void {
  t.match(answer, { status: 503, body: { code: 4197, message: /clock/ } }, what)
  t.equal(answer.headers.get('retry-after'), '60')
}

for (const wrongMs of [8 * DAY_MS, -2 * 60 * MINUTE_MS, 20 * 365 * DAY_MS]) {
  t.test(
    `a good event is not refused for its age by a clock that was set by ${wrongMs / (60 * MINUTE_MS)} hours`,
    async (t) => {
      const hand = handSet()
      const stand = await setUp(t, {}, {}, { clock: hand.clock })
      const post = (...data: unknown[]) => stand.post({ data })
      t.equal((await post(eventOf(hand, 'before'))).status, 200)
      t.match(await readMetrics(stand.admin), /^pinrelay_clock_in_doubt 0$/m)

      hand.wrongMs = wrongMs
      isPutOff(t, await post(eventOf(hand, 'a')), 'at the first look after the jump')
      isPutOff(t, await post({ event_name: 'checkout' }, eventOf(hand, 'b')), 'one of several')
      hand.passedMs += 10 * MINUTE_MS
      isPutOff(t, await post(eventOf(hand, 'a')), 'as long as it is in doubt')
      const metrics = await readMetrics(stand.admin)
      t.match(metrics, /^pinrelay_clock_in_doubt 1$/m)
      t.notMatch(metrics, 'pinrelay_events_invalid_total{', 'what comes again is not counted')
      t.match((await stand.admin('GET', '/totals')).body, { received: 1, invalid: 0 }, 'nothing was taken')
      t.equal((await fetch(`${stand.relay.publicUrl}/readyz`)).status, 200, 'a gateway goes on')

      t.equal((await post(eventOf(hand, 'c', wrongMs * -1))).status, 200, 'nothing is wrong with its age')
      t.equal((await post({ event_name: 'checkout' })).status, 422, 'invalid whatever the time is')

      hand.wrongMs = 0
      t.equal((await post(eventOf(hand, 'a'))).status, 200, 'the clock was set right: it is taken at once')
      isPutOff(t, await post(eventOf(hand, 'old', 20 * DAY_MS)), 'which of the two was right is not known')
      hand.passedMs += 14 * MINUTE_MS
      isPutOff(t, await post(eventOf(hand, 'old', 20 * DAY_MS)), 'the second jump counts')
      hand.passedMs += 2 * MINUTE_MS
      t.match(await post(eventOf(hand, 'old', 20 * DAY_MS)), { status: 422, body: { code: 953 } })
      t.match(await readMetrics(stand.admin), /^pinrelay_clock_in_doubt 0$/m)
    },
  )
}

t.test("a shop's order is not taken for a late repeat by a clock that was set", async (t) => {
  const hand = handSet()
  const stand = await setUp(t, {}, {}, { clock: hand.clock })
  const secret = 'secret-of-a-shop-0123'
  await stand.admin('PUT', '/sources/shop', { kind: 'shopify', ad_account_id: ACCOUNT, secret })
  const send = async (id: number) => {
    const body = JSON.stringify(shopifyOrder(new Date(hand.clock.wallMs() - hand.wrongMs), { id }))
    const headers = shopifyHeaders(secret, body)
    return (await fetch(`${stand.relay.publicUrl}/sources/shop`, { method: 'POST', headers, body })).status
  }
  t.equal(await send(1), 200)
  hand.wrongMs = 2 * DAY_MS
  t.equal(await send(2), 200, 'taken')
  hand.wrongMs = 9 * DAY_MS
  t.equal(await send(3), 503, 'too old, as it seems')
  t.match((await stand.admin('GET', '/totals')).body, { received: 2, filtered: 0 })
})
