import t from 'tap'
import { mayQueue, shareOf } from '../../../src/store/core/capacity.ts'
import fc from '../../support/fast-check.ts'

const ROOM = 1_000_000

/** Posts of random accounts and sizes, none of which drains; answers what each has queued. */
function fill(accounts: number, posts: readonly (readonly [account: number, bytes: number])[]): number[] {
  const queued = Array.from({ length: accounts }, () => 0)
  const free = () => ROOM - queued.reduce((sum, bytes) => sum + bytes, 0)
  for (const [account, bytes] of posts) {
    const which = account % accounts
    if (mayQueue(queued[which]!, bytes, free())) queued[which]! += bytes
  }
  return queued
}

t.test('alone an account gets eight ninths of the room, and counts as over its share then', async (t) => {
  const [queued] = fill(
    1,
    Array.from({ length: 2000 }, () => [0, 1000]),
  )
  t.ok(queued! > 0.88 * ROOM && queued! <= (8 / 9) * ROOM, `${queued}`)
  t.ok(queued! > shareOf(ROOM - queued!))
  t.notOk(0.8 * ROOM > shareOf(0.2 * ROOM))
})

t.test('whoever filled it, one who has nothing queued may always add an eighth of what is free', async () => {
  const post = fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 300_000 }))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 }), fc.array(post, { maxLength: 200 }), (accounts, posts) => {
      const free = ROOM - fill(accounts, posts).reduce((sum, bytes) => sum + bytes, 0)
      return free > 0 && mayQueue(0, free / 8, free)
    }),
  )
})

t.test('accounts that fill it together get the same', async (t) => {
  const posts = Array.from({ length: 20_000 }, (_, n) => [n, 100] as const)
  const queued = fill(10, posts)
  t.ok(Math.max(...queued) - Math.min(...queued) <= 1000, queued.join())
  t.ok(Math.min(...queued) > (7.8 / 81) * ROOM)
})

t.test('a store without a limit refuses nobody', async (t) => {
  t.ok(mayQueue(1e15, 1e9, Infinity))
  t.equal(shareOf(Infinity), Infinity)
  t.equal(shareOf(-5), 0)
  t.notOk(mayQueue(0, 1, 0), 'and one without room everybody')
})
