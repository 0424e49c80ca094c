/** Token buckets that replicas share: never more than the limit, whoever holds tokens how long. */
import t from 'tap'
import { emptyBucket, refill, take } from '../../../src/limits/bucket.ts'
import { exchangeOne } from '../../../src/store/postgres/buckets.ts'
import type { BucketRequest } from '../../../src/store/shared.ts'
import { startPostgres } from '../../support/postgres.ts'
import { makeBatch } from '../batches.ts'
import { layGround } from './ground.ts'
import fc from '../../support/fast-check.ts'

const CAPACITY = 10
const REFILL = 60
const ask = (change: Partial<BucketRequest>): BucketRequest => ({
  kind: 'call_limiter',
  adAccountId: '1',
  capacity: CAPACITY,
  refillPerMinute: REFILL,
  wanted: 0,
  holding: 0,
  unused: 0,
  ...change,
})

const step = fc.record({
  owner: fc.nat(2),
  passedMs: fc.oneof(fc.nat(500), fc.nat(30_000)),
  wanted: fc.nat(CAPACITY + 5),
  /** Shares of what it holds. */
  used: fc.double({ min: 0, max: 1, noNaN: true }),
  unused: fc.double({ min: 0, max: 1, noNaN: true }),
})

t.test(
  'level and outstanding tokens never exceed the capacity, and no minute uses more than capacity and refill',
  async (t) => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let bucket: { level: number; atMs: number } = emptyBucket(CAPACITY, REFILL, 0)
        const held = [0, 0, 0]
        const uses: { atMs: number; count: number }[] = []
        let nowMs = 0
        for (const { owner, passedMs, wanted, used, unused } of steps) {
          nowMs += passedMs
          const own = held[owner]!
          const usedNow = Math.floor(own * used)
          const unusedNow = Math.floor((own - usedNow) * unused)
          uses.push({ atMs: nowMs, count: usedNow })
          const all = held.reduce((sum, one) => sum + one, 0)
          const request = ask({ wanted, holding: own - usedNow - unusedNow, unused: unusedNow })
          const { level, atMs, outstanding, grant } = exchangeOne(bucket, { all, own }, request, nowMs)
          held[owner] = outstanding
          bucket = { level, atMs }
          const allNow = held.reduce((sum, one) => sum + one, 0)
          if (level < 0 || level + allNow * 60_000 > CAPACITY * 60_000) return false
          if (grant.granted > wanted || grant.granted < wanted !== grant.waitMs > 0) return false
          if (outstanding !== own - usedNow - unusedNow + grant.granted) return false
          // Its answer was lost, and it asks again: nothing is given back or finished with twice.
          const lost = exchangeOne(bucket, { all: allNow, own: outstanding }, request, nowMs)
          if (lost.level + (allNow - outstanding + lost.outstanding) * 60_000 > CAPACITY * 60_000)
            return false
        }
        return uses.every(({ atMs }) => {
          const within = uses.filter((use) => use.atMs >= atMs && use.atMs < atMs + 60_000)
          return within.reduce((sum, { count }) => sum + count, 0) <= CAPACITY + REFILL
        })
      }),
      { numRuns: 300 },
    )
    t.pass('held')
  },
)

t.test('one replica that uses its tokens at once gets what one bucket gives', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5000), fc.nat(CAPACITY)), { maxLength: 50 }), (steps) => {
      let plain = emptyBucket(CAPACITY, REFILL, 0)
      let shared: { level: number; atMs: number } = plain
      let nowMs = 0
      for (const [passedMs, wanted] of steps) {
        nowMs += passedMs
        const found = exchangeOne(shared, { all: 0, own: 0 }, ask({ wanted }), nowMs)
        const refilled = refill(plain, nowMs)
        const taken = take(plain, found.grant.granted, nowMs)
        if (!taken.isTaken || taken.bucket.level !== found.level) return false
        if (found.grant.granted < wanted && refilled.level >= (found.grant.granted + 1) * 60_000) return false
        plain = taken.bucket
        shared = { level: found.level, atMs: found.atMs }
      }
      return true
    }),
  )
  t.pass('held')
})

t.test('a database whose clock is set back begins with empty buckets, and continues', async (t) => {
  const full = { level: CAPACITY * 60_000, atMs: 1_000_000 }
  const back = exchangeOne(full, { all: 0, own: 0 }, ask({ wanted: 5 }), 700_000)
  t.match(back, { level: 0, atMs: 700_000, grant: { granted: 0 } })
  const later = exchangeOne(back, { all: 0, own: 0 }, ask({ wanted: 5 }), 703_000)
  t.equal(later.grant.granted, 3)
  t.equal(
    exchangeOne(full, { all: 0, own: 0 }, ask({ wanted: 5 }), 999_900).grant.granted,
    5,
    'not for jitter',
  )
})

t.test('who has to wait comes back for a lot, not for each token', async (t) => {
  const empty = { level: 0, atMs: 0 }
  const limits = { capacity: 250, refillPerMinute: 4750, wanted: 80 }
  const { grant } = exchangeOne(empty, { all: 0, own: 0 }, ask(limits), 0)
  t.ok(grant.waitMs > 80 && grant.waitMs <= 101, `${grant.waitMs} ms`)
  t.equal(exchangeOne(empty, { all: 0, own: 0 }, ask({ ...limits, wanted: 1 }), 0).grant.waitMs, 13)
})

const server = await startPostgres()
t.teardown(() => server.close())

t.test('a post limiter begins full, a call limiter empty', async (t) => {
  const { shared } = await (await layGround(t, server)).open()
  const grants = await shared.exchange([
    ask({ kind: 'post_limiter', wanted: 4 }),
    ask({ wanted: 4 }),
    ask({ kind: 'post_limiter', adAccountId: '2', wanted: 40 }),
  ])
  t.match(grants, [{ granted: 4, waitMs: 0 }, { granted: 0 }, { granted: CAPACITY }])
  t.ok(grants[1]!.waitMs > 0 && grants[1]!.waitMs <= 1000)
})

t.test('an exchange that has a bucket twice is refused, and takes nothing', async (t) => {
  const { shared } = await (await layGround(t, server)).open()
  const twice = ask({ kind: 'post_limiter', wanted: CAPACITY })
  await t.rejects(shared.exchange([twice, twice]), { code: '21000' })
  t.match(await shared.exchange([twice]), [{ granted: CAPACITY }])
})

t.test('replicas share a bucket; what is used makes no room at once, what is given back does', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await ground.open(), await ground.open()]
  const still = { kind: 'post_limiter', refillPerMinute: 0 } as const
  const get = async (replica: typeof one, change: Partial<BucketRequest>) =>
    (await replica.shared.exchange([ask({ ...still, ...change })]))[0]!.granted
  const both = await Promise.all([get(one, { wanted: 7 }), get(two, { wanted: 7 })] as const)
  t.same(new Set(both), new Set([3, 7]))
  const [first, second] = both
  t.equal(await get(one, { holding: first, wanted: 1 }), 0)
  t.equal(await get(one, { holding: 1, unused: first - 1 }), 0)
  t.equal(await get(two, { holding: second, wanted: 10 }), first - 1)
  t.equal(await get(one, { wanted: 1 }), 0)
})

t.test('many replicas ask for many accounts at once, and together get no more than there is', async (t) => {
  const ground = await layGround(t, server)
  const replicas = await Promise.all([ground.open(), ground.open(), ground.open()])
  const accounts = Array.from({ length: 20 }, (_, n) => String(n))
  const granted = await Promise.all(
    replicas.flatMap(({ shared }, n) =>
      [0, 1, 2].map(async () => {
        const order = n === 1 ? accounts.toReversed() : accounts
        const grants = await shared.exchange(
          order.map((adAccountId) =>
            ask({ kind: 'post_limiter', adAccountId, wanted: 3, refillPerMinute: 0 }),
          ),
        )
        return grants.reduce((sum, grant) => sum + grant.granted, 0)
      }),
    ),
  )
  t.equal(
    granted.reduce((sum, count) => sum + count, 0),
    CAPACITY * accounts.length,
  )
})

t.test('tokens of a dead replica stay counted for minutes, and are then there again', async (t) => {
  const ground = await layGround(t, server)
  const doomed = await ground.open({ name: 'doomed', willCrash: true })
  await doomed.shared.exchange([ask({ kind: 'post_limiter', wanted: 8, refillPerMinute: 60_000 })])
  await ground.crash()
  const first = await ground.open()
  const [soon] = await first.shared.exchange([
    ask({ kind: 'post_limiter', wanted: 10, refillPerMinute: 60_000 }),
  ])
  t.equal(soon!.granted, 2)
  await first.shared.exchange([ask({ kind: 'post_limiter', unused: 2, refillPerMinute: 60_000 })])
  await ground.ask(
    `UPDATE pinrelay.owners SET dead_at = clock_timestamp() - interval '301 seconds' WHERE name = 'doomed'`,
  )
  const second = await ground.open()
  await ground.ask('SELECT pg_sleep(0.02)')
  const [later] = await second.shared.exchange([
    ask({ kind: 'post_limiter', wanted: 10, refillPerMinute: 60_000 }),
  ])
  t.equal(later!.granted, 10)
})

t.test('a replica that ended in order leaves no tokens counted', async (t) => {
  const ground = await layGround(t, server)
  const [one, two] = [await ground.open(), await ground.open()]
  await one.shared.exchange([ask({ kind: 'post_limiter', wanted: 8, refillPerMinute: 60_000 })])
  await one.close()
  await ground.ask('SELECT pg_sleep(0.02)')
  const request = ask({ kind: 'post_limiter', wanted: 10, refillPerMinute: 60_000 })
  t.match(await two.shared.exchange([request]), [{ granted: 10 }])
})

t.test('a replica that was taken for dead and continues has its tokens under its new number', async (t) => {
  const ground = await layGround(t, server)
  const { store, shared } = await ground.open({ heartbeatMs: 3_600_000 })
  const [before] = await shared.exchange([ask({ kind: 'post_limiter', wanted: 8 })])
  t.equal(before!.granted, 8)
  await ground.ask('UPDATE pinrelay.owners SET dead_at = clock_timestamp()')
  await store.commit(makeBatch(['a']))
  // As where it asked for them with the old one while it got the new one.
  await ground.ask('UPDATE pinrelay.bucket_grants SET owner_id = (SELECT MIN(owner_id) FROM pinrelay.owners)')
  const [after] = await shared.exchange([ask({ kind: 'post_limiter', wanted: 10, unused: 8 })])
  t.equal(after!.granted, 10)
})

t.test('after a failover calls begin with an empty bucket: the last grants may be lost', async (t) => {
  const ground = await layGround(t, server)
  const { shared } = await ground.open()
  const requests = [ask({ wanted: 1 }), ask({ kind: 'post_limiter', wanted: 1 })]
  await shared.exchange(requests)
  const fill = (also = '') => ground.ask(`UPDATE pinrelay.buckets SET level = 600000 ${also}`)
  await fill()
  t.match(await shared.exchange(requests), [{ granted: 1 }, { granted: 1 }])
  await fill(", server = server - interval '1 day'")
  t.match(await shared.exchange(requests), [{ granted: 0 }, { granted: 1 }])
  await fill()
  t.match(await shared.exchange(requests), [{ granted: 1 }, { granted: 1 }], 'once')
})
