import t from 'tap'
import type { LearnedBreaker } from '../../src/delivery/breaker.ts'
import { createOutage } from '../../src/delivery/outage.ts'
import type { CallOutcome } from '../../src/pinterest/outcome.ts'
import { createManualClock } from '../support/clock.ts'

const silentLog = { debug() {}, info() {}, warn() {}, error() {} }
const DOWN: CallOutcome = {
  kind: 'answered',
  status: 503,
  code: 4197,
  message: '',
  retryAfter: undefined,
  results: undefined,
}

t.test('replicas learn of an outage and of its end from each other, and do not echo it', async (t) => {
  const clock = createManualClock()
  const make = () => {
    const told: LearnedBreaker[] = []
    const asked: string[] = []
    const outage = createOutage<string>({
      clock,
      random: () => 0.5,
      log: silentLog,
      onChange: (queue) => void asked.push(queue),
      onBreaker: (breaker) => told.push(breaker),
    })
    return { outage, told, asked }
  }
  const [one, two] = [make(), make()]
  for (let n = 0; n < 3; n++)
    one.outage.ended(DOWN, { action: 'retry', reason: 'status_503' }, one.outage.left())
  t.match(one.told, [{ status: 'open', forMs: Number }])
  two.outage.learn(one.told[0]!)
  t.equal(two.outage.untilMs(), one.outage.untilMs())
  t.notOk(two.outage.passes('queue'))
  two.outage.learn({ status: 'closed' })
  t.equal(two.outage.untilMs(), undefined)
  t.same(two.asked, ['queue'])
  t.same(two.told, [])
})

t.test('a queue is asked again though the timer fired a little early', async (t) => {
  const manual = createManualClock()
  const clock = {
    ...manual,
    after: (ms: number, then: () => void) => manual.after(Math.max(0, ms - 0.5), then),
  }
  const asked: string[] = []
  const outage = createOutage<string>({
    clock,
    random: () => 0.5,
    log: silentLog,
    onChange: (queue) => void (outage.passes(queue) && asked.push(queue)),
  })
  for (let n = 0; n < 3; n++) outage.ended(DOWN, { action: 'retry', reason: 'status_503' }, outage.left())
  t.notOk(outage.passes('queue'))
  await manual.advance(5000)
  t.same(asked, ['queue'])
})
