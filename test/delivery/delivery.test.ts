import t from 'tap'
import type { CallOutcome } from '../../src/pinterest/pinterest.ts'
import { runDue } from '../support/clock.ts'
import { ACCOUNT, batch, idsOf, refused, setStage, type Stage } from './stage.ts'
import { joinEvents } from '../support/payload.ts'

t.test('a batch leaves at once, with the token, and its decisions come back', async (t) => {
  const { post, calls, acknowledged } = setStage(t)
  const outcomes = post(1, ['a', 'b'])
  await runDue()
  t.strictSame(calls[0]?.ids, ['a', 'b'])
  t.match(calls[0]?.call, { adAccountId: ACCOUNT, isTest: false, token: 'pina_secret' })
  await calls[0]?.deliver(['b'])
  t.match(await outcomes, [{ status: 'delivered' }, { status: 'rejected', errorMessage: 'no good' }])
  t.match(acknowledged, [
    {
      batchId: 1,
      delivered: 'rest',
      dead: [{ index: 1, status: 'rejected', reason: 'rejected_event', attempts: 1 }],
    },
  ])
})

t.test('events of an answer that the relay cannot conclude are sent again, not lost', async (t) => {
  const { post, calls, acknowledged, clock, lines } = setStage(t)
  const outcomes = post(1, ['a'])
  await runDue()
  const results = [undefined as never]
  const answered = {
    kind: 'answered',
    status: 200,
    code: undefined,
    message: '',
    retryAfter: undefined,
  } as const
  await calls[0]?.answer({ ...answered, results, processedCount: undefined })
  t.match(lines.at(-1), { phrase: 'a call could not be concluded', code: 'TypeError' })
  t.strictSame(acknowledged, [])
  await clock.advance(500)
  t.strictSame(calls[1]?.ids, ['a'])
  await calls[1]?.deliver()
  t.match(await outcomes, [{ status: 'delivered' }])
})

t.test('where the rest of a call cannot be split, what was taken of it is not sent again', async (t) => {
  const { clock, post, calls, acknowledged, lines } = setStage(t)
  void post(1, ['a', 'b'])
  // Of two events, the second is missing: it cannot be cut in two.
  void post(2, ['c'], { eventCount: 2 })
  await runDue()
  await calls[0]?.answer(refused(400))
  t.strictSame(calls[1]?.ids, ['a', 'b'])
  await calls[1]?.deliver()
  t.match(lines.at(-1), { phrase: 'a call could not be concluded', code: 'ERR_INVALID_ARG_TYPE' })
  t.match(acknowledged, [{ batchId: 1, delivered: 'rest' }])
  await clock.advance(500)
  t.strictSame(calls[2]?.ids, ['c'])
})

t.test('an outcome that is noted is written, also where counting it fails', async (t) => {
  const { clock, post, calls, acknowledged, metrics } = setStage(t)
  void post(1, ['a'])
  void post(2, ['b'])
  await runDue()
  const { countEvents } = metrics
  const fail = () => {
    Object.assign(metrics, { countEvents })
    throw new Error('no more')
  }
  Object.assign(metrics, { countEvents: fail })
  await calls[0]?.deliver()
  t.match(acknowledged, [{ batchId: 1, delivered: 'rest' }])
  await clock.advance(500)
  t.strictSame(calls[1]?.ids, ['b'], 'the other one is sent again')
})

t.test('the bytes of events are freed once all of their call have an outcome', async (t) => {
  const { clock, delivery, calls } = setStage(t)
  const leased = batch(clock, 1, ['a', 'b'])
  const payload = Uint8Array.from(leased.payload)
  const outcomes = delivery.send({ ...leased, payload }, 4000)
  await runDue()
  await calls[0]?.answer(refused(500))
  t.not(payload.byteLength, 0)
  await clock.advance(250)
  await calls[1]?.deliver()
  t.match(await outcomes, [{ status: 'delivered' }, { status: 'delivered' }])
  t.equal(payload.byteLength, 0)
})

t.test('while all slots are busy batches gather, and leave together', async (t) => {
  const { post, calls } = setStage(t, { callsInFlight: 1 })
  void post(1, ['a'])
  await runDue()
  for (const n of [2, 3, 4]) void post(n, [`e${n}`])
  await runDue()
  t.equal(calls.length, 1)
  await calls[0]?.deliver()
  t.strictSame(calls[1]?.ids, ['e2', 'e3', 'e4'])
})

t.test('batches that come in one turn of the loop leave in one call', async (t) => {
  const { post, calls } = setStage(t)
  for (const n of [1, 2, 3]) void post(n, [`e${n}`])
  await runDue()
  t.strictSame(
    calls.map(({ ids }) => ids),
    [['e1', 'e2', 'e3']],
  )
})

t.test('no call has more than 1,000 events', async (t) => {
  const { post, calls } = setStage(t)
  const many = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  void post(1, many('a', 600))
  void post(2, many('b', 600))
  await runDue()
  t.strictSame(
    calls.map(({ ids }) => ids.length),
    [600, 600],
  )
})

t.test('a post whose decision takes too long is answered as queued, and delivery continues', async (t) => {
  const { clock, post, calls, acknowledged } = setStage(t)
  const outcomes = post(1, ['a'])
  await clock.advance(4000)
  t.match(await outcomes, [{ status: 'queued' }])
  await calls[0]?.deliver()
  t.match(acknowledged, [{ batchId: 1, delivered: 'rest', dead: [] }])
})

t.test('a failed call is tried again after its backoff, with the same event', async (t) => {
  const { clock, post, calls } = setStage(t)
  const outcomes = post(1, ['a'])
  await runDue()
  await calls[0]?.answer(refused(500))
  await clock.advance(249)
  t.equal(calls.length, 1, 'not before the backoff')
  await clock.advance(1)
  t.strictSame(calls[1]?.ids, ['a'])
  await calls[1]?.deliver()
  t.match(await outcomes, [{ status: 'delivered' }])
})

t.test('once a queue keeps failing, it waits for as long as a 503 asks for', async (t) => {
  const { clock, post, calls, delivery } = setStage(t)
  void post(1, ['a'], { waitMs: 0 })
  for (let n = 0; n < 3; n++) {
    await clock.advance(1000)
    await calls[n]?.answer(refused(503, { retryAfter: '4' }))
  }
  t.match(delivery.queues(ACCOUNT), [{ status: 'failing', nextTryMs: 4000 + 1000 }])
})

t.test('what failed in one call comes back in one call', async (t) => {
  const { clock, delivery, post, calls } = setStage(t)
  for (const n of [1, 2, 3]) void post(n, [`e${n}`])
  await runDue()
  await calls[0]?.answer(refused(500))
  t.match(delivery.queues(), [{ status: 'failing', nextTryMs: 250 }], 'the pause is named with its end')
  await clock.advance(500)
  t.strictSame(calls[1]?.ids, ['e1', 'e2', 'e3'])
})

t.test(
  'failed calls are counted with the time of the first and how the last ended, until one is taken',
  async (t) => {
    const { clock, delivery, post, calls } = setStage(t)
    void post(1, ['a'])
    await runDue()
    t.match(delivery.queues(ACCOUNT), [{ failedCalls: undefined }])
    const sinceMs = clock.wallMs()
    await calls[0]?.answer(refused(500))
    await clock.advance(250)
    await calls[1]?.answer({ kind: 'unanswered', reason: 'timeout' })
    const failedCalls = { count: 2, sinceMs, lastAtMs: sinceMs + 250, reason: 'timeout' }
    t.match(delivery.queues(ACCOUNT), [{ failedCalls }])
    await clock.advance(1000)
    await calls[2]?.answer(refused(200))
    t.match(delivery.queues(ACCOUNT), [{ failedCalls: { count: 3, reason: 'unreadable_answer' } }])
    await clock.advance(4000)
    await calls[3]?.deliver()
    t.match(delivery.queues(ACCOUNT), [{ status: 'sending', failedCalls: undefined }])
  },
)

t.test('one event that makes Pinterest fail does not hold up the others of its call', async (t) => {
  const { clock, post, calls, acknowledged } = setStage(t, { callsInFlight: 1 })
  void post(1, ['first'])
  await runDue()
  const good = Array.from({ length: 20 }, (_, n) => `good${n}`)
  void post(2, ['poison', ...good])
  await runDue()
  const served = new Set<string>()
  for (let next = 0, minutes = 0; minutes < 30; minutes++) {
    for (; next < calls.length; next++) {
      const call = calls[next]!
      if (call.ids.includes('poison')) await call.answer(refused(500))
      else {
        for (const id of call.ids) served.add(id)
        await call.deliver()
      }
    }
    await clock.advance(60_000)
    void post(100 + minutes, [`later${minutes}`])
  }
  for (const id of good) t.ok(served.has(id), `${id} was delivered`)
  t.ok(served.has('later20'), 'and what came later')
  t.notOk(
    acknowledged.some(({ dead }) => dead.length > 0),
    'nothing was rejected for it',
  )
  const last = calls.filter(({ ids }) => ids.includes('poison')).at(-1)
  t.strictSame(last?.ids, ['poison'], 'it is tried alone')
})

t.test('such an event is alone after few failed calls, and the others are delivered', async (t) => {
  const { clock, post, calls } = setStage(t)
  void post(1, ['poison', ...idsOf('good', 255)])
  await runDue()
  const failed: number[] = []
  let delivered = 0
  for (let next = 0; delivered < 255; next++) {
    while (next === calls.length) await clock.advance(60_000)
    const call = calls[next]!
    if (call.ids.includes('poison')) {
      failed.push(call.ids.length)
      await call.answer(refused(500))
    } else {
      delivered += call.ids.length
      await call.deliver()
    }
  }
  t.strictSame(failed.slice(0, 7), [256, 256, 256, 64, 16, 4, 1])
})

/** For an hour Pinterest fails for calls with an event that is named so. Answers what it took. */
async function failForPoison({ clock, calls }: Stage, everySecond = (_second: number) => {}) {
  const served = new Set<string>()
  for (let next = 0, second = 0; second < 3600; second++) {
    everySecond(second)
    await clock.advance(1000)
    for (; next < calls.length; next++) {
      const call = calls[next]!
      if (call.ids.some((id) => id.startsWith('poison'))) await call.answer(refused(500))
      else {
        await call.deliver()
        for (const id of call.ids) served.add(id)
      }
    }
  }
  return served
}

t.test(
  'events that make Pinterest fail hold up no others, however many and however quiet the queue',
  async (t) => {
    const stage = setStage(t)
    for (let n = 0; n < 10; n++) void stage.post(n, [`poison${n}`])
    const served = await failForPoison(stage, (second) => {
      if (second % 60 === 0 && second < 3300) void stage.post(100 + second, [`good${second}`])
    })
    t.equal(served.size, 55, 'all within five minutes')
  },
)

t.test('one event in five that makes Pinterest fail does not stop the other four', async (t) => {
  const stage = setStage(t)
  const served = await failForPoison(stage, (second) => {
    if (second < 3000) void stage.post(second, [second % 5 === 0 ? `poison${second}` : `good${second}`])
  })
  t.equal(served.size, 2400)
})

t.test('events that failed together with such are delivered, also where no others come', async (t) => {
  const stage = setStage(t)
  for (let n = 0; n < 40; n++) void stage.post(n, [n % 4 === 0 ? `poison${n}` : `good${n}`])
  t.equal((await failForPoison(stage)).size, 30)
})

t.test('a replay that makes Pinterest fail holds up no other after an outage', async (t) => {
  const stage = setStage(t, { callsInFlight: 1 })
  // It failed often before it became a dead letter.
  const history = [{ atMs: 0, reason: 'replayed' }]
  void stage.post(1, ['poison'], { isReplay: true, attempts: 50, history })
  void stage.post(2, ['good'])
  await runDue()
  // Long enough that both are parked.
  for (let n = 0; n < 12; n++) {
    await stage.calls[n]?.answer(refused(500))
    await stage.clock.advance(60_000)
  }
  const served = await failForPoison(stage, (second) => {
    if (second % 600 === 0) void stage.post(100 + second, [`good${second}`])
  })
  t.equal(served.size, 7)
})

t.test('an event that Pinterest answers as if it were away is no trial where others wait', async (t) => {
  const { clock, post, calls } = setStage(t)
  void post(1, ['poison'], { attempts: 10 })
  // Until its own pause is as long as that of all queues.
  for (let n = 0; n < 10; n++) {
    await clock.advance(30_000)
    await calls[n]?.answer(refused(503, { code: 4197 }))
  }
  void post(2, ['good'])
  await clock.advance(30_000)
  t.strictSame(calls[10]?.ids, ['good'])
})

t.test('after an outage everything leaves together again', async (t) => {
  const { clock, post, calls } = setStage(t, { callsInFlight: 1 })
  const ids = Array.from({ length: 64 }, (_, n) => `e${n}`)
  void post(1, ids)
  await runDue()
  let next = 0
  for (let n = 0; n < 12; n++) {
    for (; next < calls.length; next++) await calls[next]?.answer(refused(503))
    await clock.advance(60_000)
  }
  const before = next
  for (; next < calls.length; next++) await calls[next]?.deliver()
  const sent = calls.slice(before).flatMap((call) => [...call.ids])
  t.strictSame(new Set(sent), new Set(ids))
  t.ok(calls.length - before <= 2, `${calls.length - before} calls`)
})

t.test('a post to a queue that cannot call within its wait is answered at once', async (t) => {
  const { clock, post, calls, paused } = setStage(t)
  void post(1, ['a'])
  await runDue()
  await calls[0]?.answer(refused(401))
  await calls[1]?.answer(refused(401))
  t.match(await post(2, ['b']), [{ status: 'queued' }])
  paused.add(ACCOUNT)
  t.match(await post(3, ['c']), [{ status: 'queued' }])
  t.ok(clock.pendingTimers() < 4)
})

t.test('a queue keeps to its bytes when it leases', async (t) => {
  const { clock, stored, delivery, calls, asked } = setStage(t, { callsInFlight: 1 })
  const large = {
    ...batch(clock, 7, ['large']),
    payload: Buffer.from(JSON.stringify({ event_id: 'x'.repeat(9e6) })),
  }
  stored.push(large)
  await delivery.start()
  await runDue()
  t.equal(calls.length, 1)
  stored.push(batch(clock, 8, ['next']))
  await clock.advance(1000)
  t.equal(asked.length, 1, 'it asks for no more while it holds as much as it may')
  await calls[0]?.deliver()
  t.strictSame(calls[1]?.ids, ['next'])
})

t.test('posts fill the memory of a queue only as far as what waits in the store finds room', async (t) => {
  const { post, released } = setStage(t, { callsInFlight: 1 })
  const payload = Buffer.from(JSON.stringify({ event_id: 'x'.repeat(2 ** 20) }))
  for (let n = 0; n < 8; n++) void post(n, ['x'], { payload, waitMs: 0 })
  await runDue()
  t.strictSame(
    released.map(({ batchId }) => batchId),
    [6, 7],
  )
})

t.test('a queue that keeps failing sends one trial at a time, and everything once it succeeds', async (t) => {
  const { clock, post, calls, delivery } = setStage(t, { callsInFlight: 4 })
  for (const n of [1, 2, 3]) {
    void post(n, [`e${n}`])
    await runDue()
  }
  for (const call of calls.slice()) await call.answer({ kind: 'unanswered', reason: 'refused' })
  t.match(delivery.queues(ACCOUNT), [{ status: 'failing', nextTryMs: 1000 }])
  void post(4, ['e4'])
  await runDue()
  t.equal(calls.length, 3, 'nothing leaves while the breaker is open')
  await clock.advance(1000)
  t.equal(calls.length, 4, 'then one trial')
  t.strictSame(calls[3]?.ids, ['e4'], 'of one batch')
  await calls[3]?.deliver()
  t.match(delivery.queues(ACCOUNT), [{ status: 'sending' }])
  const ids = calls.slice(3).flatMap((call) => [...call.ids])
  t.strictSame(ids.sort(), ['e1', 'e2', 'e3', 'e4'])
})

t.test('an opaque refusal is split until the culprit is alone; the others are delivered', async (t) => {
  const { post, calls, acknowledged } = setStage(t)
  const ids = Array.from({ length: 100 }, (_, n) => `e${n}`)
  const outcomes = post(1, ids)
  await runDue()
  for (let next = 0; next < calls.length; next++) {
    const call = calls[next]!
    t.notOk(call.isCanary, 'Pinterest took other calls of this bisect')
    await (call.ids.includes('e77') ? call.answer(refused(400)) : call.deliver())
  }
  const told = await outcomes
  t.equal(told.filter(({ status }) => status === 'delivered').length, 99)
  t.match(told[77], { status: 'rejected', errorMessage: 'because' })
  const dead = acknowledged.flatMap((acknowledgement) => [...acknowledgement.dead])
  t.match(dead, [{ index: 77, reason: 'refused_400' }])
  const positions = acknowledged.flatMap(({ delivered: places }) => (places === 'rest' ? [] : [...places]))
  t.equal(new Set(positions).size, 99, 'each event is acknowledged once')
  t.ok(calls.length <= 10, `${calls.length} calls: the first, 7 halvings, the culprit alone, the rest`)
})

t.test('a bisect continues where it was after failures and pauses', async (t) => {
  const { clock, post, calls, acknowledged } = setStage(t)
  void post(1, idsOf('e', 100))
  await runDue()
  const faults: CallOutcome[] = [refused(503), refused(429), { kind: 'unanswered', reason: 'reset' }]
  for (let next = 0; next < calls.length; next++) {
    const call = calls[next]!
    const fault = next > 2 ? faults.pop() : undefined
    if (fault) await call.answer(fault)
    else await (call.ids.includes('e-50') ? call.answer(refused(422)) : call.deliver())
    await clock.advance(2000)
  }
  t.equal(calls.length, 12, 'three more than without the faults')
  const dead = acknowledged.flatMap((acknowledgement) => [...acknowledgement.dead])
  t.match(dead, [{ index: 50, reason: 'refused_422' }])
  const delivered = acknowledged.flatMap(({ delivered: places }) => (places === 'rest' ? [] : [...places]))
  t.equal(new Set(delivered).size, 99)
  t.equal(delivered.length, 99, 'none twice')
})

t.test('429 makes the queue wait as long as Pinterest says, and is not an attempt', async (t) => {
  const { clock, post, calls, delivery } = setStage(t)
  const outcomes = post(1, ['a'])
  await runDue()
  await calls[0]?.answer(refused(429, { retryAfter: '3' }))
  t.match(delivery.queues(ACCOUNT), [{ status: 'rate_limited', nextTryMs: 3000 }])
  await clock.advance(2999)
  t.equal(calls.length, 1)
  await clock.advance(1)
  await calls[1]?.deliver(['a'])
  t.match(await outcomes, [{ status: 'rejected' }])
})

t.test('test events and live ones never share a call', async (t) => {
  const { post, calls } = setStage(t)
  void post(1, ['live'])
  void post(2, ['test'], { isTest: true })
  await runDue()
  t.match(calls, [
    { ids: ['live'], call: { isTest: false } },
    { ids: ['test'], call: { isTest: true } },
  ])
})

t.test('what is on time leaves before what is late, and the closest to its hour first', async (t) => {
  const { clock, post, calls } = setStage(t, { callsInFlight: 1 })
  void post(1, ['first'])
  await runDue()
  const nowS = Math.floor(clock.wallMs() / 1000)
  void post(2, ['replay'], { oldestEventTimeS: nowS - 3599, isReplay: true, waitMs: 0 })
  void post(3, ['fresh'], { oldestEventTimeS: nowS, waitMs: 0 })
  void post(4, ['late'], { oldestEventTimeS: nowS - 4000, waitMs: 0 })
  void post(5, ['later still'], { oldestEventTimeS: nowS - 9000, waitMs: 0 })
  void post(6, ['closest'], { oldestEventTimeS: nowS - 3500, waitMs: 0 })
  await runDue()
  await calls[0]?.deliver()
  t.strictSame(calls[1]?.ids, ['closest', 'fresh', 'later still', 'late', 'replay'])
})

t.test('what a post waits for takes up to half of each call, whatever the backlog', async (t) => {
  const { clock, post, calls } = setStage(t, { callsInFlight: 1 })
  void post(1, ['first'])
  await runDue()
  const old = { oldestEventTimeS: Math.floor(clock.wallMs() / 1000) - 3500, waitMs: 0 }
  for (let n = 0; n < 20; n++) void post(100 + n, idsOf(`old${n}`, 100), old)
  for (let n = 0; n < 10; n++) void post(200 + n, idsOf(`live${n}`, 100))
  await runDue()
  await calls[0]?.deliver()
  const isLive = (id: string) => id.startsWith('live')
  t.equal(calls[1]?.ids.length, 1000)
  t.equal(calls[1]?.ids.filter(isLive).length, 500)
  t.ok(calls[1]?.ids.includes('live0-0'), 'who came first goes first')
  await clock.advance(5000)
  await calls[1]?.deliver()
  t.equal(calls[2]?.ids.filter(isLive).length, 0, 'nobody waits any longer')
})

t.test('what waits in the store is leased though new batches keep the memory full', async (t) => {
  const { clock, post, calls, stored, delivery } = setStage(t, { callsInFlight: 1 })
  for (let n = 0; n < 6; n++) void post(n, idsOf(`new${n}`, 1000), { waitMs: 0 })
  await runDue()
  const oldestEventTimeS = Math.floor(clock.wallMs() / 1000) - 60
  stored.push({ ...batch(clock, 100, ['from the store']), oldestEventTimeS })
  delivery.wake({ adAccountId: ACCOUNT, isTest: false })
  await runDue()
  for (let n = 0; n < 5; n++) {
    void post(200 + n, idsOf(`newer${n}`, 1000), { waitMs: 0 })
    await calls.at(-1)?.deliver()
  }
  t.ok(
    calls.some(({ ids }) => ids.includes('from the store')),
    'within five calls',
  )
})

t.test('queues take turns at the store, and memory stays bounded however many there are', async (t) => {
  const { clock, stored, delivery, calls, asked } = setStage(t, { callsInFlightTotal: 4 })
  const payload = (id: string) => Buffer.from(`{"event_id":"${id}"${' '.repeat(2e6)}}`)
  for (let n = 0; n < 60; n++) {
    stored.push({ ...batch(clock, n, [`e${n}`]), adAccountId: `${n}`, payload: payload(`e${n}`) })
  }
  await delivery.start()
  await runDue()
  await clock.advance(100)
  t.ok(asked.length < 40, `${asked.length} leases fill the memory`)
  t.ok(stored.length > 20, 'the rest is still in the store')
  for (let next = 0; next < calls.length; next++) await calls[next]!.deliver()
  t.equal(new Set(calls.flatMap(({ ids }) => ids)).size, 60, 'each queue had its turn')
})

t.test('a queue that Pinterest asks to wait long keeps nothing in memory', async (t) => {
  const { clock, post, calls, released } = setStage(t)
  void post(1, ['a'])
  await runDue()
  await calls[0]?.answer(refused(429, { retryAfter: '60' }))
  t.match(released, [{ batchId: 1, attempts: 0 }])
  await clock.advance(61_000)
  t.strictSame(calls[1]?.ids, ['a'])
})

t.test('what a lease brings to a queue that was stopped meanwhile goes back to the store', async (t) => {
  const { clock, post, calls, stored, leasing, delivery, released } = setStage(t)
  void post(1, ['a'])
  await runDue()
  const { promise, resolve } = Promise.withResolvers<void>()
  leasing.held = promise
  stored.push(batch(clock, 7, ['b']))
  delivery.wake({ adAccountId: ACCOUNT, isTest: false })
  await runDue()
  await calls[0]?.answer(refused(429, { retryAfter: '60' }))
  t.match(released, { length: 1 })
  resolve()
  await runDue()
  t.match(released, [{ batchId: 1 }, { batchId: 7, attempts: 0 }])
})

t.test('no call that is not full leaves while the store brings more', async (t) => {
  const { clock, post, calls, stored, delivery } = setStage(t)
  stored.push(batch(clock, 7, idsOf('stored', 500)))
  await delivery.start()
  void post(8, ['live'])
  await runDue()
  t.match(calls, [{ ids: { length: 501 } }])
})

t.test('code 4197 stops all accounts, and one trial ends that', async (t) => {
  const { clock, post, calls, delivery } = setStage(t)
  const down = refused(503, { code: 4197 })
  for (let n = 0; n < 3; n++) void post(n, [`e${n}`], { adAccountId: `${n}` })
  await runDue()
  await Promise.all(calls.map(({ answer }) => answer(down)))
  t.match(delivery.queues('0'), [{ status: 'pinterest_down' }])
  const untold = post(10, ['untold'], { adAccountId: '10' })
  await runDue()
  t.equal(calls.length, 3, 'nor does an account that has not asked yet')
  t.match(delivery.queues('10'), [{ status: 'pinterest_down', nextTryMs: Number }])

  await clock.advance(2000)
  t.equal(calls.length, 4, 'one trial for all')
  await calls[3]?.answer(down)
  await clock.advance(500)
  t.equal(calls.length, 4, 'and not at once again')
  await clock.advance(60_000)
  t.equal(calls.length, 5)
  await calls[4]?.deliver()
  await clock.advance(60_000)
  const sent = calls.slice(4).flatMap(({ ids }) => ids)
  t.same(new Set(sent), new Set(['e0', 'e1', 'e2', 'untold']))
  for (const { deliver } of calls.slice(5)) await deliver()
  t.match(delivery.queues('10'), [{ status: 'sending' }])
  await untold
})

t.test('other failures of some accounts do not stop the others', async (t) => {
  const { clock, post, calls } = setStage(t)
  for (let n = 0; n < 5; n++) void post(n, [`e${n}`], { adAccountId: `${n}` })
  await runDue()
  for (const { answer } of calls) await answer(refused(500))
  void post(10, ['other'], { adAccountId: '10' })
  await clock.advance(1)
  t.ok(calls.some(({ ids }) => ids.includes('other')))
})

t.test('what failed is in the history of a dead letter', async (t) => {
  const { clock, post, calls, acknowledged, released } = setStage(t)
  void post(1, ['a'])
  await runDue()
  const failedAtMs = clock.wallMs()
  await calls[0]?.answer(refused(503))
  await clock.advance(1000)
  await calls[1]?.answer({ kind: 'unanswered', reason: 'timeout' })
  await clock.advance(1000)
  const history = [
    { atMs: failedAtMs, reason: 'status_503' },
    { reason: 'timeout' },
    { reason: 'rejected_event' },
  ]
  await calls[2]?.deliver(['a'])
  t.match(acknowledged, [{ dead: [{ index: 0, attempts: 3, history }] }])
  void post(2, ['b'])
  await runDue()
  await calls[3]?.answer(refused(503))
  await clock.advance(1000)
  await calls[4]?.answer(refused(401))
  await calls[5]?.answer(refused(401))
  t.match(released, [{ batchId: 2, attempts: 1, history: [{ reason: 'status_503' }] }])
})

t.test('an event that grows too old in the queue is a dead letter, its companions are sent', async (t) => {
  const { clock, post, calls, acknowledged } = setStage(t)
  const nowS = Math.floor(clock.wallMs() / 1000)
  const oldS = nowS - 8 * 24 * 3600
  const payload = joinEvents([
    `{"event_id":"old","event_time":${oldS}}`,
    `{"event_id":"new","event_time":${nowS}}`,
  ])
  const outcomes = post(1, ['old', 'new'], { payload, oldestEventTimeS: oldS })
  await runDue()
  t.strictSame(calls[0]?.ids, ['new'])
  await calls[0]?.deliver()
  t.match(await outcomes, [{ status: 'expired' }, { status: 'delivered' }])
  t.match(acknowledged, [
    { dead: [{ index: 0, status: 'expired', reason: 'too_old' }], delivered: [] },
    { dead: [], delivered: [1] },
  ])
})

t.test('while the store writes no decisions calls stop, and leave again once it does', async (t) => {
  const { clock, post, calls, writing, delivery, acknowledged } = setStage(t)
  const written = Promise.withResolvers<void>()
  writing.held = written.promise
  for (let n = 0; n < 100; n++) {
    void post(n, [`e${n}`], { waitMs: 0 })
    await runDue()
    await calls[n]?.deliver()
  }
  t.equal(calls.length, 64, 'so many may be sent again after a restart, and no more')
  t.notOk(delivery.isStuck(), 'that alone is usual where many accounts call, and no reason to refuse posts')
  await clock.advance(60_000)
  t.equal(calls.length, 64)
  t.ok(delivery.isStuck())
  written.resolve()
  await runDue()
  await calls.at(-1)?.deliver()
  t.notOk(delivery.isStuck())
  t.equal(calls.flatMap(({ ids }) => ids).length, 100)
  t.equal(acknowledged.length, 100)
})

t.test('the decisions of one turn of the loop are one write', async (t) => {
  const { post, calls, writes } = setStage(t)
  for (const [n, adAccountId] of ['1', '2', '3'].entries()) void post(n, [`e${n}`], { adAccountId })
  await runDue()
  await Promise.all(calls.map((call) => call.deliver()))
  t.same(
    writes.map(([operation, batchIds]) => [operation, batchIds.toSorted((a, b) => a - b)]),
    [['acknowledge', [0, 1, 2]]],
  )
})

t.test('a rejection is written before its post is answered', async (t) => {
  const { post, calls, writes } = setStage(t)
  const answered = post(0, ['bad']).then(() => writes.length)
  await runDue()
  await calls[0]?.deliver(['bad'])
  t.equal(await answered, 1)
})

t.test('a decision is written before the rest of its batch is released', async (t) => {
  const { clock, post, calls, paused, writes } = setStage(t, { callsInFlight: 1 })
  void post(1, ['a', 'b'])
  await runDue()
  while (calls.at(-1)?.ids.length !== 1) {
    await calls.at(-1)?.answer(refused(503))
    await clock.advance(60_000)
  }
  paused.add(ACCOUNT)
  await calls.at(-1)?.deliver()
  t.strictSame(writes, [
    ['acknowledge', [1]],
    ['release', [1]],
  ])
})

t.test('what a call decides that ends while delivery closes is written', async (t) => {
  const { clock, post, calls, delivery, acknowledged } = setStage(t)
  void post(1, ['a'])
  await runDue()
  const stopped = delivery.stop(0)
  await clock.advance(1)
  await stopped
  const closed = delivery.close()
  void calls[0]?.deliver()
  await closed
  t.equal(acknowledged.length, 1)
})

t.test('decisions that wait for seconds stop calls, however few they are', async (t) => {
  const { clock, post, calls, writing } = setStage(t)
  const written = Promise.withResolvers<void>()
  writing.held = written.promise
  void post(1, ['a'], { waitMs: 0 })
  await runDue()
  await calls[0]?.deliver()
  await clock.advance(6000)
  void post(2, ['b'], { waitMs: 0 })
  await clock.advance(1000)
  t.equal(calls.length, 1)
  written.resolve()
  await clock.advance(1)
  t.equal(calls.length, 2)
})

t.test('a decision that the store refuses does not take the others with it', async (t) => {
  const { post, calls, writing, acknowledged } = setStage(t)
  writing.refused = 2
  for (const n of [1, 2, 3]) void post(n, [`e${n}`])
  await runDue()
  await calls[0]?.deliver()
  t.same(
    acknowledged.map(({ batchId }) => batchId),
    [1, 2, 3],
  )
})

t.test('nothing expires while the clock cannot be believed', async (t) => {
  const { clock, post, calls, acknowledged, trust } = setStage(t, { callsInFlight: 1 })
  trust.isTrusted = false
  void post(1, ['old'], { oldestEventTimeS: Math.floor(clock.wallMs() / 1000) - 8 * 24 * 3600 })
  await runDue()
  t.strictSame(calls[0]?.ids, ['old'])
  t.strictSame(acknowledged, [])
})

t.test('a paused account makes no calls until it is resumed', async (t) => {
  const { post, calls, paused, delivery, released } = setStage(t)
  paused.add(ACCOUNT)
  void post(1, ['a'])
  await runDue()
  t.equal(calls.length, 0)
  t.match(delivery.queues(ACCOUNT), [{ status: 'paused' }])
  t.match(released, [{ batchId: 1 }], 'meanwhile its events are in the store alone')
  paused.clear()
  delivery.accountChanged(ACCOUNT)
  await runDue()
  t.equal(calls.length, 1)
})

t.test('what waits after a failed call leaves at once when the account is resumed', async (t) => {
  const { post, calls, delivery, clock } = setStage(t)
  void post(1, ['a'])
  await runDue()
  for (let failures = 1; failures <= 4; failures++) {
    t.equal(calls.length, failures)
    await calls.at(-1)?.answer(refused(503, { code: 4197 }))
    t.match(delivery.queues(ACCOUNT), [{ status: failures < 3 ? 'failing' : 'pinterest_down' }])
    await runDue()
    t.equal(calls.length, failures, 'nothing leaves by itself')
    delivery.accountChanged(ACCOUNT)
    await runDue()
  }
  await calls.at(-1)?.deliver()
  t.match(delivery.queues(ACCOUNT), [{ status: 'sending' }])
  void post(2, ['b'])
  await runDue()
  await calls.at(-1)?.answer(refused(429))
  delivery.accountChanged(ACCOUNT)
  await runDue()
  t.equal(calls.length, 6, 'not while Pinterest asked to wait')
  await clock.advance(60_000)
  t.equal(calls.length, 7)
})

t.test('a pause is no wait for the call limiter', async (t) => {
  const { clock, post, calls, paused, delivery, metrics, limiter } = setStage(t)
  limiter.waitMs = 1000
  void post(1, ['a'])
  await runDue()
  t.equal(calls.length, 0)
  paused.add(ACCOUNT)
  await clock.advance(3_600_000)
  paused.clear()
  limiter.waitMs = 0
  delivery.accountChanged(ACCOUNT)
  await runDue()
  t.equal(calls.length, 1)
  const { values } = await metrics.callLimiterSeconds.get()
  t.equal(values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value, 0)
})

t.test("one account's long queue delays another's single event by one call at most", async (t) => {
  const { post, calls } = setStage(t, { callsInFlight: 1, callsInFlightTotal: 1 })
  const thousand = Array.from({ length: 1000 }, (_, n) => `e${n}`)
  for (let n = 1; n <= 5; n++) void post(n, thousand)
  await runDue()
  void post(6, ['other'], { adAccountId: '1' })
  await runDue()
  await calls[0]?.deliver()
  t.strictSame(calls[1]?.ids, ['other'])
})

t.test('a backlog in the store is picked up at the start', async (t) => {
  const { clock, stored, delivery, calls } = setStage(t)
  stored.push(batch(clock, 7, ['from before']))
  await delivery.start()
  await runDue()
  t.strictSame(calls[0]?.ids, ['from before'])
})

t.test('after stop no call leaves, and posts are answered with what is known', async (t) => {
  const { clock, post, calls, delivery } = setStage(t)
  const first = post(1, ['a'])
  await runDue()
  let isStopped = false
  const stopped = delivery.stop(5000).then(() => (isStopped = true))
  const second = post(2, ['b'])
  await runDue()
  t.equal(calls.length, 1)
  t.notOk(isStopped, 'a call is in flight')
  await calls[0]?.deliver()
  await stopped
  t.match(await first, [{ status: 'delivered' }])
  delivery.endWaiting()
  t.match(await second, [{ status: 'queued' }])
  t.match(await post(3, ['c']), [{ status: 'queued' }], 'a post that comes later does not wait')
  t.equal(clock.pendingTimers(), 0)
})

t.test(
  'what others took over is not sent again from here, and its posts are answered as queued',
  async (t) => {
    const { post, calls, acknowledged, released, delivery, clock } = setStage(t, { callsInFlight: 1 })
    const underWay = post(1, ['a'])
    await runDue()
    const waiting = post(2, ['b'])
    await runDue()
    delivery.dropLeases()
    t.match(await underWay, [{ status: 'queued' }])
    t.match(await waiting, [{ status: 'queued' }])
    await calls[0]!.answer(refused(503))
    await clock.advance(60_000)
    t.equal(calls.length, 1, 'neither the one that failed nor the one that waited')
    t.same([acknowledged, released], [[], []], 'and nothing is said of them')
    void post(3, ['c'])
    await runDue()
    t.strictSame(calls[1]?.ids, ['c'], 'what came later goes on')
  },
)
