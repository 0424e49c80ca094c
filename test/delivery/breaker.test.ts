import t from 'tap'
import { afterCall, learn, learnedOf, OPEN, reopen, type Breaker } from '../../src/delivery/breaker.ts'

const fail = (breaker: Breaker, wasTrial = breaker.status === 'closed') =>
  afterCall(breaker, { kind: 'failed' }, wasTrial, 1000, 0.5)

t.test('one failure leaves a breaker open, three in a row close it', async (t) => {
  const once = fail(OPEN)
  t.strictSame(once, { status: 'open', failures: 1 })
  t.strictSame(afterCall(once, { kind: 'answered' }, false, 0, 0), OPEN, 'an answer in between starts over')
  t.strictSame(fail(fail(once)), { status: 'closed', reason: 'failing', untilMs: 2000, failures: 3 })
})

t.test('a trial that fails closes it for longer, one that succeeds opens it', async (t) => {
  const closed = fail(fail(fail(OPEN)))
  t.match(fail(closed), { status: 'closed', untilMs: 3000, failures: 4 })
  t.strictSame(afterCall(closed, { kind: 'answered' }, true, 0, 0), OPEN)
})

t.test('calls that were in flight when it closed change nothing', async (t) => {
  const closed = fail(fail(fail(OPEN)))
  t.equal(fail(closed, false), closed)
  t.equal(afterCall(closed, { kind: 'answered' }, false, 0, 0), closed)
})

t.test('429 closes it for as long as Pinterest says, or else for a growing pause', async (t) => {
  t.match(afterCall(OPEN, { kind: 'limited', delayMs: 7000 }, false, 1000, 0.5), {
    reason: 'rate_limited',
    untilMs: 8000,
  })
  const pauses: unknown[] = []
  let breaker = OPEN
  for (let n = 0; n < 5; n++) {
    breaker = afterCall(breaker, { kind: 'limited', delayMs: undefined }, n > 0, 0, 0.5)
    pauses.push(breaker.status === 'closed' && breaker.untilMs)
  }
  t.strictSame(pauses, [1000, 1000, 1000, 2000, 4000])
  t.match(
    afterCall(OPEN, { kind: 'limited', delayMs: 0 }, false, 0, 0.5),
    { untilMs: 1000 },
    'never a hot loop',
  )
})

t.test('a hold asks again after minutes, or at once when an operator changed something', async (t) => {
  const held = afterCall(OPEN, { kind: 'held', reason: 'unauthorized' }, false, 0, 0.5)
  t.strictSame(held, { status: 'closed', reason: 'unauthorized', untilMs: 180_000, failures: 1 })
  t.match(reopen(held, 10), { status: 'closed', untilMs: 10 })
  t.equal(reopen(OPEN, 10), OPEN)
  const limited = afterCall(OPEN, { kind: 'limited', delayMs: 7000 }, false, 0, 0.5)
  t.equal(reopen(limited, 10), limited, 'a pause that Pinterest asked for is kept')
})

t.test(
  'what another replica learned counts like a call of our own, and the longer pause stands',
  async (t) => {
    const held = { status: 'closed', reason: 'unauthorized', forMs: 5000 } as const
    const breaker = learn(OPEN, held, 1000)
    t.same(breaker, { status: 'closed', reason: 'unauthorized', untilMs: 6000, failures: 1 })
    t.equal(learn(breaker, { ...held, forMs: 3000 }, 1000), breaker)
    t.match(learn(breaker, { ...held, reason: 'rate_limited', forMs: 9000 }, 1000), {
      reason: 'rate_limited',
    })
    t.equal(learn(breaker, { status: 'open' }, 2000), OPEN)
    t.equal(learn(OPEN, { status: 'open' }, 2000), OPEN)
    t.same(learnedOf(breaker, 2000), { ...held, forMs: 4000 })
    t.same(learnedOf(breaker, 9000), { ...held, forMs: 0 })
  },
)
