import t from 'tap'
import { afterCall, learn, learnedOf, CLOSED, allowTrial, type Breaker } from '../../src/delivery/breakers.ts'

const fail = (breaker: Breaker, wasTrial = breaker.status === 'open') =>
  afterCall(breaker, { action: 'retry' }, wasTrial, 1000, 0.5)

t.test('one failure leaves a breaker closed, three in a row open it', async (t) => {
  const once = fail(CLOSED)
  t.strictSame(once, { status: 'closed', failures: 1 })
  t.strictSame(
    afterCall(once, { action: 'acknowledge' }, false, 0, 0),
    CLOSED,
    'an answer in between starts over',
  )
  t.strictSame(fail(fail(once)), { status: 'open', reason: 'failing', untilMs: 2000, failures: 3 })
})

t.test('a trial that fails opens it for longer, one that succeeds closes it', async (t) => {
  const open = fail(fail(fail(CLOSED)))
  t.match(fail(open), { status: 'open', untilMs: 3000, failures: 4 })
  t.strictSame(afterCall(open, { action: 'acknowledge' }, true, 0, 0), CLOSED)
})

t.test(
  'an open breaker waits at least as long as Pinterest asks for, and no more than a minute for that',
  async (t) => {
    const asked = (breaker: Breaker, delayMs: number) =>
      afterCall(breaker, { action: 'retry', delayMs }, breaker.status === 'open', 1000, 0.5)
    t.strictSame(asked(CLOSED, 7000), { status: 'closed', failures: 1 })
    const open = asked(fail(fail(CLOSED)), 7000)
    t.match(open, { status: 'open', reason: 'failing', untilMs: 1000 + 7000 + 1000 })
    t.match(asked(open, 300_000), { untilMs: 1000 + 60_000 + 2000 })
  },
)

t.test('calls that were in flight when it opened change nothing', async (t) => {
  const open = fail(fail(fail(CLOSED)))
  t.equal(fail(open, false), open)
  t.equal(afterCall(open, { action: 'acknowledge' }, false, 0, 0), open)
})

t.test('429 opens it for as long as Pinterest says, or else for a growing pause', async (t) => {
  t.match(afterCall(CLOSED, { action: 'pause', delayMs: 7000 }, false, 1000, 0.5), {
    reason: 'rate_limited',
    untilMs: 8000,
  })
  const pauses: unknown[] = []
  let breaker = CLOSED
  for (let n = 0; n < 5; n++) {
    breaker = afterCall(breaker, { action: 'pause', delayMs: undefined }, n > 0, 0, 0.5)
    pauses.push(breaker.status === 'open' && breaker.untilMs)
  }
  t.strictSame(pauses, [1000, 1000, 1000, 2000, 4000])
  t.match(
    afterCall(CLOSED, { action: 'pause', delayMs: 0 }, false, 0, 0.5),
    { untilMs: 1000 },
    'never a hot loop',
  )
})

t.test('a hold asks again after minutes, or at once when an operator changed something', async (t) => {
  const held = afterCall(CLOSED, { action: 'hold', reason: 'unauthorized' }, false, 0, 0.5)
  t.strictSame(held, { status: 'open', reason: 'unauthorized', untilMs: 180_000, failures: 1 })
  t.match(allowTrial(held, 10), { status: 'open', untilMs: 10 })
  t.equal(allowTrial(CLOSED, 10), CLOSED)
  const limited = afterCall(CLOSED, { action: 'pause', delayMs: 7000 }, false, 0, 0.5)
  t.equal(allowTrial(limited, 10), limited, 'a pause that Pinterest asked for is kept')
})

t.test(
  'what another replica learned counts like a call of our own, and the longer pause counts',
  async (t) => {
    const held = { status: 'open', reason: 'unauthorized', forMs: 5000 } as const
    const breaker = learn(CLOSED, held, 1000)
    t.same(breaker, { status: 'open', reason: 'unauthorized', untilMs: 6000, failures: 1 })
    t.equal(learn(breaker, { ...held, forMs: 3000 }, 1000), breaker)
    t.match(learn(breaker, { ...held, reason: 'rate_limited', forMs: 9000 }, 1000), {
      reason: 'rate_limited',
    })
    t.equal(learn(breaker, { status: 'closed', reason: '', forMs: 0 }, 2000), CLOSED)
    t.equal(learn(CLOSED, { status: 'closed', reason: '', forMs: 0 }, 2000), CLOSED)
    t.same(learnedOf(breaker, 2000), { ...held, forMs: 4000 })
    t.same(learnedOf(breaker, 9000), { ...held, forMs: 0 })
  },
)
