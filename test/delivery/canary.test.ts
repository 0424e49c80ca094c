/** Whether a refusal is about a call's events or about the account: the canary tells, and nothing else does. */
import t, { type Test } from 'tap'
import { runDue } from '../support/clock.ts'
import { ACCOUNT, batch, idsOf, refused, setStage, type SentCall, type Stage } from './stage.ts'

/** Every kind of refusal of which a firewall may be the author. */
const STATUSES = [302, 401, 402, 403, 404, 405, 406, 409, 410, 415, 418, 431, 451]

/** Answers every call that is out, and those that follow within a second, until no more come. */
async function play(
  { calls, clock }: Stage,
  answer: (call: SentCall) => Promise<void>,
  from = 0,
): Promise<void> {
  for (let next = from; next < calls.length; next++) {
    await answer(calls[next]!)
    if (next === calls.length - 1) await clock.advance(1000)
  }
}

/** Pinterest, behind a firewall that dislikes one event. */
const refuseEvent = (id: string, status: number) => (call: SentCall) =>
  call.ids.includes(id) ? call.answer(refused(status)) : call.deliver()

const deadOf = ({ acknowledged }: Stage) => acknowledged.flatMap(({ dead }) => [...dead])

for (const isTest of [false, true]) {
  for (const status of STATUSES) {
    t.test(`${status} for one event of ${isTest ? 'a test' : 'a live'} queue costs that event`, async (t) => {
      const stage = setStage(t)
      const outcomes = stage.post(1, idsOf('e', 64), { isTest })
      await runDue()
      await play(stage, refuseEvent('e-40', status))
      const statuses = (await outcomes).map((outcome) => outcome.status)
      t.equal(statuses.filter((word) => word === 'delivered').length, 63)
      t.equal(statuses[40], 'rejected')
      t.match(deadOf(stage), [{ index: 40, reason: `refused_${status}`, message: 'because' }])
      t.match(stage.delivery.queues(ACCOUNT), [{ status: 'sending' }])
      t.equal(stage.canaries.length, 2, 'before the bisect and before the dead letter')
      t.ok(stage.calls.length <= 15, `${stage.calls.length} calls: 9 of a bisect, 4 again, 2 canaries`)
      t.notOk(
        stage.news.some((word) => word.startsWith('refused')),
        'the token is not blamed',
      )
    })
  }
}

t.test('an event that is refused alone is called three times more before it is a dead letter', async (t) => {
  const stage = setStage(t)
  const outcomes = stage.post(1, ['a'])
  await runDue()
  await play(stage, refuseEvent('a', 403))
  t.match(await outcomes, [{ status: 'rejected' }])
  t.strictSame(
    stage.calls.map(({ isCanary }) => isCanary),
    [false, true, false, false, false, true],
  )
})

t.test('a refusal that passes costs a canary and a second call within a second', async (t) => {
  for (const ids of [['a'], idsOf('e', 10)]) {
    const stage = setStage(t)
    const outcomes = stage.post(1, ids)
    await runDue()
    await stage.calls[0]!.answer(refused(403))
    await stage.calls[1]!.deliver()
    t.equal(stage.calls.length, 2, 'not at once')
    await stage.clock.advance(1000)
    await stage.calls[2]!.deliver()
    t.ok((await outcomes).every(({ status }) => status === 'delivered'))
    t.strictSame(stage.calls[2]!.ids, ids)
    t.equal(stage.calls.length, 3)
  }
})

t.test('the canary has nothing of a customer, is a test event, and has the token', async (t) => {
  const { post, calls, canaries } = setStage(t)
  void post(1, ['a'])
  await runDue()
  await calls[0]?.answer(refused(403))
  t.match(canaries, [{ adAccountId: ACCOUNT, isTest: true, token: 'pina_secret' }])
  const { data } = JSON.parse(Buffer.from(canaries[0]!.body).toString())
  t.match(data, [{ event_name: 'page_visit', event_id: /^pinrelay-canary-/ }])
  t.equal(data.length, 1)
})

/** Holds the queue of batch 1 with what is refused to it and to the canary. */
async function hold(t: Test, status = 401, isTest = false): Promise<Stage> {
  const stage = setStage(t)
  void stage.post(1, ['a'], { isTest })
  await runDue()
  await play(stage, (call) => call.answer(refused(status)))
  t.equal(stage.calls.length, 2, 'one call, one canary')
  return stage
}

for (const [status, reason] of [
  [400, 'rejects_everything'],
  [401, 'unauthorized'],
  [403, 'forbidden'],
  [404, 'wrong_address'],
  [422, 'rejects_everything'],
] as const) {
  t.test(`${status} for the canary too holds the queue as ${reason}, with its events`, async (t) => {
    const stage = await hold(t, status)
    const { released, delivery, post, clock, calls } = stage
    t.match(delivery.queues(ACCOUNT), [{ status: reason, nextTryMs: 179_000 }], 'a second later')
    t.match(released, [{ batchId: 1, attempts: 0 }])
    t.match(await post(2, ['b']), [{ status: 'queued' }], 'a post is answered at once')
    await clock.advance(60_000)
    t.equal(calls.length, 2, 'nothing is called before the next canary')
    t.strictSame(deadOf(stage), [])
    t.ok(stage.lines.some((line) => line['reason'] === reason))
  })
}

for (const isTest of [false, true]) {
  t.test(`only canaries leave a held ${isTest ? 'test' : 'live'} queue, one each few minutes`, async (t) => {
    const stage = await hold(t, 403, isTest)
    const leases = stage.asked.length
    for (let n = 2; n < 7; n++) {
      void stage.post(n, [`e${n}`], { isTest })
      await stage.clock.advance(4 * 60_000)
      t.equal(stage.calls.length, n + 1)
      t.ok(stage.calls[n]!.isCanary)
      await stage.calls[n]!.answer(refused(403))
    }
    t.equal(stage.asked.length, leases, 'and its events stay in the store')
    await stage.clock.advance(4 * 60_000)
    await play(stage, (call) => call.deliver(), 7)
    t.ok(stage.calls[7]!.isCanary)
    t.strictSame(
      stage.calls[8]!.ids,
      ['a', 'e2', 'e3', 'e4', 'e5', 'e6'],
      'and all goes on once one is taken',
    )
    t.match(stage.delivery.queues(ACCOUNT), [{ status: 'sending' }])
    t.strictSame(deadOf(stage), [])
  })
}

t.test('a new token asks the canary at once', async (t) => {
  const stage = await hold(t)
  const { vault, delivery, calls } = stage
  t.strictSame(stage.news, ['refused 401'])
  vault.token = 'pina_new'
  delivery.accountChanged(ACCOUNT)
  await runDue()
  t.match(calls[2], { isCanary: true, call: { token: 'pina_new' } })
  await play(stage, (call) => call.deliver(), 2)
  t.match(calls[3], { isCanary: false, call: { token: 'pina_new' } })
  t.strictSame(calls[3]!.ids, ['a'])
  t.match(stage.delivery.queues(ACCOUNT), [{ status: 'sending' }])
  t.strictSame(stage.news, ['refused 401', 'accepted', 'accepted'])
})

t.test('a refusal of a token that was replaced meanwhile is no reason to ask', async (t) => {
  const { post, calls, vault, delivery } = setStage(t)
  void post(1, ['a'])
  await runDue()
  vault.token = 'pina_new'
  delivery.accountChanged(ACCOUNT)
  await calls[0]!.answer(refused(401))
  t.match(calls[1], { isCanary: false, call: { token: 'pina_new' } })
  t.strictSame(calls[1]!.ids, ['a'])
})

t.test('a canary that is refused with a token that was replaced meanwhile holds nothing', async (t) => {
  const stage = setStage(t)
  const outcomes = stage.post(1, ['a'])
  await runDue()
  await stage.calls[0]!.answer(refused(401))
  stage.vault.token = 'pina_new'
  stage.delivery.accountChanged(ACCOUNT)
  await stage.calls[1]!.answer(refused(401))
  await play(stage, (call) => call.deliver(), 2)
  t.match(await outcomes, [{ status: 'delivered' }])
})

t.test(
  'an event that was refused with the old token is not judged by a canary with the new one',
  async (t) => {
    const stage = setStage(t)
    const outcomes = stage.post(1, ['a'])
    await runDue()
    await stage.calls[0]!.answer(refused(403))
    await stage.calls[1]!.deliver()
    for (const again of [2, 3, 4]) {
      await stage.clock.advance(1000)
      stage.limiter.waitMs = again === 4 ? 10 : 0
      await stage.calls[again]!.answer(refused(403))
    }
    stage.vault.token = 'pina_new'
    stage.limiter.waitMs = 0
    await stage.clock.advance(10)
    await play(stage, (call) => call.deliver(), 5)
    t.match(await outcomes, [{ status: 'delivered' }])
  },
)

t.test('when everything is refused nothing becomes a dead letter, and few calls are made', async (t) => {
  for (const status of [400, 413, 422]) {
    const stage = setStage(t)
    void stage.post(1, idsOf('e', 100))
    await runDue()
    await play(stage, (call) => call.answer(refused(status)))
    t.equal(stage.calls.length, 9, 'eight down to one event, and the canary')
    t.match(stage.delivery.queues(ACCOUNT), [{ status: 'rejects_everything' }])
    t.strictSame(deadOf(stage), [])
    t.match(stage.released, [{ batchId: 1 }])
  }
})

t.test(
  'when Pinterest begins to refuse everything in the middle of a bisect, the third culprit shows it',
  async (t) => {
    const stage = setStage(t)
    void stage.post(1, idsOf('e', 100))
    await runDue()
    let taken = 0
    await play(stage, (call) => {
      if (!call.ids.includes('e-99') && taken === 0) return call.deliver().then(() => void taken++)
      return call.answer(refused(400))
    })
    t.match(stage.delivery.queues(ACCOUNT), [{ status: 'rejects_everything' }])
    t.ok(deadOf(stage).length <= 2, `${deadOf(stage).length} dead letters`)
    t.equal(stage.canaries.length, 1)
  },
)

t.test('a hundred events of which each is refused, and the canary is not', async (t) => {
  for (const [status, most] of [
    [400, 185],
    [403, 540],
  ] as const) {
    const stage = setStage(t)
    const outcomes = stage.post(1, idsOf('e', 100))
    await runDue()
    await play(stage, (call) => (call.isCanary ? call.deliver() : call.answer(refused(status))))
    t.ok((await outcomes).every((outcome) => outcome.status === 'rejected'))
    t.ok(stage.calls.length <= most, `${stage.calls.length} calls`)
    t.match(stage.delivery.queues(ACCOUNT), [{ status: 'sending' }])
  }
})

t.test('a canary without a usable answer decides nothing', async (t) => {
  for (const [answer, word] of [
    [refused(503), 'failing'],
    [refused(200), 'failing'],
    [refused(429, { retryAfter: '3' }), 'rate_limited'],
    [{ kind: 'unanswered', reason: 'timeout' }, 'failing'],
  ] as const) {
    const stage = setStage(t)
    const outcomes = stage.post(1, ['a'])
    await runDue()
    await stage.calls[0]!.answer(refused(403))
    await stage.calls[1]!.answer(answer)
    t.match(stage.delivery.queues(ACCOUNT), [{ status: word }])
    await stage.clock.advance(3000)
    t.strictSame(stage.calls[2]!.ids, ['a'], 'the events are retried')
    await stage.calls[2]!.deliver()
    t.match(await outcomes, [{ status: 'delivered' }])
    t.equal(stage.calls.length, 3)
  }
})

/** Each second every call that is out is answered. */
async function live(stage: Stage, seconds: number, answer: (call: SentCall) => Promise<void>): Promise<void> {
  let answered = 0
  for (let second = 0; second < seconds; second++) {
    while (answered < stage.calls.length) await answer(stage.calls[answered++]!)
    await stage.clock.advance(1000)
  }
}

for (const retryAfter of ['1', '60', undefined]) {
  const rest = retryAfter === undefined ? {} : { retryAfter }
  const asked = retryAfter === undefined ? 'without Retry-After' : `with Retry-After ${retryAfter}`
  t.test(`a 429 ${asked} for one event delays the others, and costs none`, async (t) => {
    const stage = setStage(t)
    const outcomes = stage.post(1, idsOf('e', 64), { waitMs: 3_600_000 })
    const firewall = (call: SentCall) =>
      call.ids.includes('e-40') ? call.answer(refused(429, rest)) : call.deliver()
    await live(stage, 900, firewall)
    const sent = new Set(stage.calls.filter(({ ids }) => !ids.includes('e-40')).flatMap(({ ids }) => ids))
    t.equal(idsOf('e', 64).filter((id) => sent.has(id)).length, 63, 'all but the one')
    t.ok(stage.canaries.length >= 1 && stage.canaries.length <= 2, `${stage.canaries.length} canaries`)
    const before = stage.calls.length
    const later = stage.post(2, ['later'])
    await live(stage, 600, firewall)
    t.match(await later, [{ status: 'delivered' }], 'and those that come later wait for nothing')
    t.ok(stage.calls.length - before < 60, `${stage.calls.length - before} calls in 10 minutes`)
    t.strictSame(deadOf(stage), [])
    await live(stage, 120, (call) => call.deliver())
    t.ok(
      (await outcomes).every(({ status }) => status === 'delivered'),
      'it is delivered once it may',
    )
  })
}

t.test('a limit that is the account’s costs nothing but time', async (t) => {
  const stage = setStage(t)
  void stage.post(1, ['a', 'b'])
  const limited = refused(429, { retryAfter: '20' })
  await live(stage, 600, (call) => call.answer(limited))
  t.ok(stage.calls.length <= 31, 'one call each 20 seconds')
  t.equal(stage.canaries.length, Math.floor(stage.calls.length / 4), 'of which each fourth is a canary')
  t.match(stage.released.at(-1), { attempts: 0, history: [] }, 'no attempt')
  t.match(stage.delivery.queues(ACCOUNT), [{ status: 'rate_limited' }])
})

t.test('a limit that test events do not count for makes no dead letter', async (t) => {
  const stage = setStage(t)
  void stage.post(1, idsOf('e', 100))
  await live(stage, 3600, (call) =>
    call.isCanary ? call.deliver() : call.answer(refused(429, { retryAfter: '20' })),
  )
  t.strictSame(deadOf(stage), [])
  t.ok(stage.calls.length < 200, `${stage.calls.length} calls in an hour`)
  await live(stage, 600, (call) => call.deliver())
  t.equal(new Set(stage.acknowledged.map(({ batchId }) => batchId)).size, 1)
  t.match(stage.delivery.queues(ACCOUNT), [{ status: 'sending' }])
})

/** A relay that starts with what an earlier one held. */
async function restart(t: Test, batches: number): Promise<Stage> {
  const stage = setStage(t)
  for (let n = 1; n <= batches; n++) stage.stored.push(batch(stage.clock, n, idsOf(`b${n}`, 1000)))
  await stage.delivery.start()
  await runDue()
  return stage
}

for (const [status, reason, most] of [
  [401, 'unauthorized', 3],
  [403, 'forbidden', 3],
  [400, 'rejects_everything', 25],
] as const) {
  t.test(
    `after a restart, ${status} for everything holds the queue after ${most} calls at most`,
    async (t) => {
      const stage = await restart(t, 4)
      await play(stage, (call) => call.answer(refused(status)))
      t.match(stage.delivery.queues(ACCOUNT), [{ status: reason }])
      t.ok(stage.calls.length <= most, `${stage.calls.length} calls`)
      t.equal(stage.canaries.length, 1)
      t.strictSame(deadOf(stage), [])
      t.ok(stage.released.every(({ attempts }) => attempts === 0))
    },
  )
}

t.test('one canary at a time, and no other call of the queue meanwhile', async (t) => {
  const { post, calls, canaries, clock, delivery } = setStage(t, { callsInFlight: 3 })
  for (const n of [1, 2]) {
    void post(n, [`e${n}`])
    await runDue()
  }
  await calls[0]!.answer(refused(403))
  void post(3, ['e3'])
  await runDue()
  await calls[1]!.answer(refused(403))
  await clock.advance(60_000)
  t.equal(calls.length, 3, 'the canary, for both')
  t.match(delivery.queues(ACCOUNT), [{ status: 'asking', callsInFlight: 1 }])
  void post(4, ['other'], { adAccountId: '7' })
  await runDue()
  t.strictSame(calls[3]!.ids, ['other'], 'another account is not concerned')
  await calls[2]!.answer(refused(403))
  t.equal(canaries.length, 1)
  t.match(delivery.queues(ACCOUNT), [{ status: 'forbidden' }])
})

t.test('a canary waits for the call limiter, like any call', async (t) => {
  const { post, calls, limiter, clock } = setStage(t)
  void post(1, ['a'])
  await runDue()
  t.strictSame(limiter, { taken: 1, finished: 0, waitMs: 0 })
  limiter.waitMs = 500
  await calls[0]!.answer(refused(403))
  t.equal(calls.length, 1)
  limiter.waitMs = 0
  await clock.advance(500)
  t.ok(calls[1]!.isCanary)
  t.strictSame(limiter, { taken: 2, finished: 1, waitMs: 0 })
  await calls[1]!.answer(refused(403))
  await clock.advance(4 * 60_000)
  t.ok(calls[2]!.isCanary)
  t.strictSame(limiter, { taken: 3, finished: 2, waitMs: 0 }, 'also that of a held queue')
})

t.test('canaries are in the log and in a metric', async (t) => {
  const { calls, clock, lines, metrics } = await hold(t, 403)
  await clock.advance(4 * 60_000)
  await calls[2]!.deliver()
  const asked = lines.filter(({ phrase }) => String(phrase).startsWith('canary'))
  t.match(asked, [
    { ad_account_id: ACCOUNT, status: 403, reason: 'hold', phrase: 'canary not taken' },
    { ad_account_id: ACCOUNT, status: 200, reason: 'acknowledge', phrase: 'canary taken' },
  ])
  const text = await metrics.render()
  t.match(text, /^pinrelay_canaries_total\{decision="hold"\} 1$/m)
  t.match(text, /^pinrelay_canaries_total\{decision="acknowledge"\} 1$/m)
})

t.test('a post whose batch went to the store and came back still gets its outcome', async (t) => {
  const stage = setStage(t)
  const outcomes = stage.post(1, ['a'])
  await runDue()
  await play(stage, (call) => call.answer(refused(401)))
  stage.delivery.accountChanged(ACCOUNT)
  await runDue()
  await play(stage, (call) => call.deliver(), 2)
  t.match(await outcomes, [{ status: 'delivered' }])
})

t.test(
  'what another replica learned holds the queue here, and its canary here is of this replica',
  async (t) => {
    const { post, calls, delivery, clock, released } = setStage(t)
    void post(1, ['a'])
    await runDue()
    await calls[0]!.answer(refused(403))
    const queue = { adAccountId: ACCOUNT, isTest: false }
    delivery.learn(queue, { status: 'open', reason: 'rejects_everything', forMs: 60_000 })
    await calls[1]!.answer(refused(403))
    t.match(delivery.queues(ACCOUNT), [{ status: 'rejects_everything' }], 'this canary had left before')
    t.match(released, [{ batchId: 1 }])
    await clock.advance(60_000)
    t.ok(calls[2]!.isCanary)
    delivery.learn(queue, { status: 'closed', reason: '', forMs: 0 })
    await calls[2]!.deliver()
    await runDue()
    t.strictSame(calls[3]!.ids, ['a'])
  },
)

t.test(
  'events that wait for a canary go back to the store with a pause, and are others when the lease is lost',
  async (t) => {
    const { post, calls, delivery, paused, released, limiter } = setStage(t)
    limiter.waitMs = 0
    void post(1, ['a'])
    await runDue()
    limiter.waitMs = 500
    await calls[0]!.answer(refused(403))
    paused.add(ACCOUNT)
    delivery.accountChanged(ACCOUNT)
    await runDue()
    t.match(released, [{ batchId: 1 }])

    paused.clear()
    limiter.waitMs = 0
    delivery.accountChanged(ACCOUNT)
    await runDue()
    await calls[1]!.answer(refused(403))
    t.ok(calls[2]!.isCanary)
    delivery.dropLeases()
    await calls[2]!.deliver()
    await runDue()
    t.equal(calls.length, 3, 'others have it now')
  },
)
