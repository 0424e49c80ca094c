import { request as open } from 'node:http'
import type { FastifyError } from 'fastify'
import t from 'tap'
import { createAdmission } from '../../src/ingest/admission.ts'
import { createManualClock, until } from '../support/clock.ts'
import { rawEvent } from '../support/events.ts'
import { ACCOUNT, setUp } from '../support/relay.ts'
import { postBurst } from './burst.ts'

const BODY_LIMIT = 1024 * 1024

function setUpAdmission(bodyLimitBytes = BODY_LIMIT) {
  const clock = createManualClock()
  const admission = createAdmission(bodyLimitBytes, clock)
  /** What became of a post: `inside`, `waiting`, or the code of its refusal. */
  const enter = (
    headers: Record<string, string>,
    adAccountId = '1',
    onInside = (_leave: () => void) => {},
  ) => {
    const post = { status: 'waiting', leave: () => {} }
    admission.enter({ headers }, adAccountId, (error, leave = () => {}) => {
      if (post.status !== 'waiting') throw new Error('called back twice')
      post.status = error === undefined ? 'inside' : (error as FastifyError).code
      post.leave = leave
      if (error === undefined) onInside(leave)
    })
    return post
  }
  const enterSized = (bytes: number, adAccountId?: string) =>
    enter({ 'content-length': String(bytes) }, adAccountId)
  return { clock, enter, enterSized }
}

t.test('small bodies fit until eight of the largest size would; who leaves makes room, once', async (t) => {
  const { enterSized } = setUpAdmission(1000)
  const posts = Array.from({ length: 8 }, (_, n) => enterSized(1000, `account ${n % 4}`))
  t.ok(posts.every(({ status }) => status === 'inside'))
  t.equal(enterSized(1, 'another').status, 'TOO_BUSY')
  posts[0]!.leave()
  posts[0]!.leave()
  t.equal(enterSized(1000, 'another').status, 'inside')
  t.equal(enterSized(1000, 'another').status, 'TOO_BUSY')
})

t.test('an account takes a quarter of the room for small bodies, however many it sends', async (t) => {
  const { enterSized } = setUpAdmission()
  const posts = Array.from({ length: 1119 }, () => enterSized(60_000, '1'))
  const inside = posts.filter(({ status }) => status === 'inside')
  t.equal(inside.length, Math.floor((2 * BODY_LIMIT) / 60_000))
  t.equal(enterSized(60_000, '2').status, 'inside', 'another one is let in')
  inside[0]!.leave()
  t.equal(enterSized(60_000, '1').status, 'inside')
  t.equal(enterSized(60_000, '1').status, 'TOO_BUSY')
})

t.test('large bodies wait in a line, and small ones do not wait behind them', async (t) => {
  const { enterSized } = setUpAdmission()
  const first = enterSized(BODY_LIMIT)
  const second = enterSized(BODY_LIMIT)
  const third = enterSized(BODY_LIMIT)
  const fourth = enterSized(BODY_LIMIT / 2)
  t.same(
    [first, second, third, fourth].map(({ status }) => status),
    ['inside', 'inside', 'waiting', 'waiting'],
  )
  t.equal(enterSized(1000).status, 'inside')
  first.leave()
  first.leave()
  t.same([third.status, fourth.status], ['inside', 'waiting'], 'the first in the line comes first')
  third.leave()
  t.equal(fourth.status, 'inside')
})

t.test('an account takes half of the room for large bodies, and nobody waits behind it', async (t) => {
  const { enterSized } = setUpAdmission()
  const statusOf = (adAccountId: string) => enterSized(BODY_LIMIT, adAccountId).status
  const stuck = [enterSized(BODY_LIMIT, '1'), enterSized(BODY_LIMIT, '1')]
  const third = enterSized(BODY_LIMIT, '1')
  t.equal(third.status, 'waiting')
  t.same([statusOf('2'), statusOf('3'), statusOf('4')], ['inside', 'inside', 'waiting'])
  stuck[0]!.leave()
  t.equal(third.status, 'inside', 'its turn came before that of the fourth account')
})

t.test('who has waited for five seconds is refused, and who comes behind need not wait longer', async (t) => {
  const { clock, enterSized } = setUpAdmission()
  enterSized(BODY_LIMIT)
  enterSized(BODY_LIMIT / 2)
  const large = enterSized(BODY_LIMIT)
  await clock.advance(1000)
  const smaller = enterSized(BODY_LIMIT / 2)
  t.equal(smaller.status, 'waiting')
  await clock.advance(3999)
  t.equal(large.status, 'waiting')
  await clock.advance(1)
  t.same([large.status, smaller.status], ['TOO_BUSY', 'inside'])
  large.leave()
  t.equal(enterSized(BODY_LIMIT / 2).status, 'waiting', 'a refused one has no room to give back')
  smaller.leave()
  await clock.advance(5000)
  t.equal(clock.pendingTimers(), 0)
})

t.test('a long line of posts that leave as soon as they enter is admitted all at once', async (t) => {
  const { enterSized, enter } = setUpAdmission()
  const inside = [enterSized(BODY_LIMIT), enterSized(BODY_LIMIT)]
  let left = 0
  for (let n = 0; n < 5000; n++) {
    enter({ 'content-length': String(BODY_LIMIT) }, '1', (leave) => {
      left += 1
      leave()
    })
  }
  const last = enterSized(BODY_LIMIT)
  inside[0]!.leave()
  t.equal(left, 5000)
  t.equal(last.status, 'inside')
  t.equal(enterSized(BODY_LIMIT).status, 'waiting', 'the other one is still inside')
})

t.test('a body without a length counts as the largest, one over the limit not at all', async (t) => {
  const { enter, enterSized } = setUpAdmission()
  for (let n = 0; n < 20; n++) t.equal(enterSized(5 * BODY_LIMIT).status, 'inside')
  enter({ 'transfer-encoding': 'chunked' })
  enter({ 'transfer-encoding': 'chunked' })
  t.equal(enterSized(BODY_LIMIT / 2).status, 'waiting')
})

function beginPost(publicUrl: string, relayKey: string, sizeBytes: number) {
  const request = open(`${publicUrl}/v5/ad_accounts/${ACCOUNT}/events`, {
    method: 'POST',
    agent: false,
    headers: {
      authorization: `Bearer ${relayKey}`,
      'content-type': 'application/json',
      'content-length': sizeBytes,
    },
  })
  request.on('error', () => undefined)
  request.write('{')
  return request
}

t.test(
  'posts that are never finished take room of their account alone, and as long as they last',
  async (t) => {
    const { relay, relayKey, post, admin } = await setUp(t, { BODY_LIMIT_BYTES: '4096' })
    const other = '549755885176'
    await admin('PUT', `/accounts/${other}`, { access_token: 'pina_other_account' })
    const { key } = (await admin('POST', '/keys', { label: 'other', ad_account_ids: [other] })).body
    const begun = Array.from({ length: 2 }, () => beginPost(relay.publicUrl, relayKey, 4096))
    const statusOf = async () => (await post({ data: [rawEvent()] })).status
    await until(async () => (await statusOf()) === 503)
    const refused = await post({ data: [rawEvent()] })
    t.match(refused.body, { code: 4197, message: String })
    t.ok(Number(refused.headers.get('retry-after')) > 0)
    const others = await post({ data: [rawEvent()] }, { account: other, key: String(key) })
    t.equal(others.status, 200)
    for (const request of begun) request.destroy()
    await until(async () => (await statusOf()) === 200)
  },
)

t.test('who leaves the line for large bodies holds no room when its turn comes', async (t) => {
  const { relay, relayKey, post } = await setUp(t, { BODY_LIMIT_BYTES: '65536' })
  const begin = () => beginPost(relay.publicUrl, relayKey, 65_536)
  const inside = [begin(), begin()]
  await post({ data: [rawEvent()] })
  const waiting = [begin(), begin()]
  await post({ data: [rawEvent()] })
  for (const request of waiting) request.destroy()
  await post({ data: [rawEvent()] })
  for (const request of inside) request.destroy()
  const large = JSON.stringify({ data: [rawEvent()] }).padEnd(65_536)
  t.equal((await post(large)).status, 200)
})

t.test('twenty large posts at once are all taken', (t) =>
  postBurst(t, { posts: 20, eventsEach: 4, bodyLimitBytes: 100_000 }),
)
