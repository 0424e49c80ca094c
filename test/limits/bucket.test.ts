import t from 'tap'
import { emptyBucket, fullBucket, msUntilFull, refill, take, tokensIn } from '../../src/limits/bucket.ts'
import fc from '../support/fast-check.ts'

t.test('a full bucket gives its capacity at once and then what it refills', async (t) => {
  let bucket = fullBucket(3, 60, 0)
  for (let n = 0; n < 3; n++) {
    const taken = take(bucket, 1, 0)
    t.equal(taken.isTaken, true)
    bucket = taken.bucket
  }
  t.match(take(bucket, 1, 0), { isTaken: false, waitMs: 1000 })
  t.match(take(bucket, 1, 999), { isTaken: false, waitMs: 1 })
  t.match(take(bucket, 1, 1000), { isTaken: true, waitMs: 0 })
  t.equal(msUntilFull(bucket), 3000)
})

t.test('taking several takes all of them or none', async (t) => {
  const bucket = fullBucket(5, 60, 0)
  t.equal(take(bucket, 6, 0).isTaken, false)
  t.equal(tokensIn(take(bucket, 6, 0).bucket, 0), 5)
  t.equal(tokensIn(take(bucket, 5, 0).bucket, 0), 0)
})

t.test('without a refill there is nothing to wait for', async (t) => {
  t.equal(take(emptyBucket(1, 0, 0), 1, 0).waitMs, Infinity)
})

t.test('a clock that steps back adds nothing and takes nothing, then or later', async (t) => {
  const emptied = take(fullBucket(1, 60, 10_000), 1, 10_000).bucket
  const back = refill(emptied, 4000)
  t.equal(tokensIn(back, 10_000), 0)
  t.equal(tokensIn(back, 11_000), 1)
  t.equal(tokensIn(fullBucket(1, 60, 10_000), 4000), 1)
})

t.test('a smaller capacity keeps what fits, a larger one adds nothing by itself', async (t) => {
  t.equal(tokensIn({ ...fullBucket(10, 60, 0), capacity: 4 }, 0), 4)
  t.equal(tokensIn({ ...fullBucket(4, 60, 0), capacity: 10 }, 0), 4)
})

t.test('the wait that is answered is true and the shortest', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 120, size: 'max' }),
      (capacity, refillPerMinute, gaps) => {
        let nowMs = 0
        let bucket = fullBucket(capacity, refillPerMinute, nowMs)
        for (const gap of gaps) {
          nowMs += gap
          const taken = take(bucket, 1, nowMs)
          bucket = taken.bucket
          if (taken.isTaken) continue
          const isThereThen = take(bucket, 1, nowMs + taken.waitMs).isTaken
          const isThereBefore = take(bucket, 1, nowMs + taken.waitMs - 1).isTaken
          if (!isThereThen || isThereBefore) return false
        }
        return true
      },
    ),
  )
})

t.test('it does not drift: a month of single tokens takes exactly what was refilled', async (t) => {
  const minutes = 60 * 24 * 30
  // 7 a minute does not divide a minute into whole milliseconds.
  let bucket = emptyBucket(1000, 7, 0)
  let taken = 0
  for (let minute = 1; minute <= minutes; minute++) {
    for (let result = take(bucket, 1, minute * 60_000); result.isTaken;) {
      bucket = result.bucket
      taken += 1
      result = take(bucket, 1, minute * 60_000)
    }
  }
  t.equal(taken, minutes * 7)
})
