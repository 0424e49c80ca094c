/** What of a queue leaves with the next call. */
import t from 'tap'
import { batchOf } from '../../src/delivery/batch.ts'
import { groupOf } from '../../src/delivery/bisect.ts'
import { Queue } from '../../src/delivery/queue.ts'
import { createManualClock } from '../support/clock.ts'
import { batch } from './stage.ts'

const clock = createManualClock()

function sliceOf(batchId: number, attempts = 0) {
  return batchOf({ ...batch(clock, batchId, [`e${batchId}`]), attempts }).slice
}

function setUp() {
  const queue = new Queue({ adAccountId: '1', isTest: false })
  const take = (isTrial = false) =>
    queue.takeCall(clock.wallMs(), isTrial).slices.map((slice) => slice.batch.batchId)
  return { queue, take }
}

t.test(
  'what failed often gets every other call, the least often first, while anything else waits',
  async (t) => {
    const { queue, take } = setUp()
    for (const [batchId, attempts] of [
      [1, 9],
      [2, 4],
      [3, 6],
    ] as const) {
      queue.addGroup(groupOf([sliceOf(batchId, attempts)]))
    }
    const taken: number[][] = []
    for (let batchId = 10; batchId < 15; batchId++) {
      queue.add(sliceOf(batchId))
      taken.push(take())
    }
    t.strictSame(taken, [[2], [10, 11], [3], [12, 13], [1]])
    queue.addGroup(groupOf([sliceOf(4, 5)]))
    queue.addGroup(groupOf([sliceOf(5, 5)]))
    t.strictSame([take(), take(), take()], [[14], [4], [5]], 'all of them where nothing else waits')
  },
)

t.test('a trial takes one batch, and what failed often only where nothing else waits', async (t) => {
  const { queue, take } = setUp()
  queue.addGroup(groupOf([sliceOf(1, 4)]))
  for (const batchId of [2, 3]) queue.add(sliceOf(batchId))
  for (const batchId of [4, 5]) queue.add(sliceOf(batchId, 9))
  t.strictSame([take(true), take(true), take(true), take(true), take(true)], [[2], [3], [1], [4], [5]])
  t.notOk(queue.hasReady)
})
