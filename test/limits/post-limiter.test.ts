import Fastify from 'fastify'
import rateLimit from '@fastify/rate-limit'
import t from 'tap'
import { createPostLimiter, rateLimitStore } from '../../src/limits/post-limiter.ts'
import fc from '../support/fast-check.ts'

t.test('the 5,001st post of an instant burst is refused, with a Retry-After that is true', async (t) => {
  let nowMs = 0
  const postLimiter = createPostLimiter(() => nowMs)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(rateLimit, {
    store: rateLimitStore(postLimiter),
    enableDraftSpec: true,
    max: 5000,
    keyGenerator: (request) => (request.query as { account: string }).account,
  })
  app.get('/', async () => 'in')
  const post = (account: string) => app.inject({ url: '/', query: { account } })

  for (let n = 1; n < 4990; n++) postLimiter.take('1', 5000)
  t.equal(postLimiter.take('1', 5000).current, 4990)
  for (let n = 4991; n <= 5000; n++) t.equal((await post('1')).statusCode, 200, `post ${n}`)
  const refused = await post('1')
  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], '1')
  t.equal(refused.headers['ratelimit-limit'], '5000')
  t.equal(refused.headers['ratelimit-remaining'], '0')
  t.equal((await post('2')).statusCode, 200, 'another account does not notice')

  nowMs += Number(refused.headers['retry-after']) * 1000
  t.equal((await post('1')).statusCode, 200)
})

t.test(
  'over any time a post limiter lets through its capacity and its refill, and not one more',
  async () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.array(fc.tuple(fc.integer({ min: -500, max: 3000 }), fc.integer({ min: 1, max: 200 })), {
          maxLength: 80,
          size: 'max',
        }),
        (postsPerMinute, steps) => {
          let clockMs = 0
          let longestMs = 0
          const postLimiter = createPostLimiter(() => clockMs)
          postLimiter.take('1', postsPerMinute)
          let passed = 1
          for (const [gapMs, posts] of steps) {
            clockMs += gapMs
            longestMs = Math.max(longestMs, clockMs)
            for (let n = 0; n < posts; n++) {
              if (postLimiter.take('1', postsPerMinute).current <= postsPerMinute) passed += 1
            }
          }
          return passed <= postsPerMinute + (longestMs * postsPerMinute) / 60_000
        },
      ),
    )
  },
)

t.test('an account whose limit changes keeps what fits of its bucket', async (t) => {
  const postLimiter = createPostLimiter(() => 0)
  t.equal(postLimiter.take('1', 10).current, 1)
  t.equal(postLimiter.take('1', 5).current, 1)
  t.equal(postLimiter.level('1'), 4)
  postLimiter.forget('1')
  t.equal(postLimiter.level('1'), undefined)
})
