/** What a lease reads of a queue of which much is leased already. */
import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { lease } from '../../../src/store/core/lease.ts'
import { planCommit } from '../../../src/store/core/commit.ts'
import type { Step, Steps } from '../../../src/store/core/sql.ts'
import type { Transaction } from '../../../src/store/core/transaction.ts'
import { createLeases } from '../../../src/store/sqlite/leases.ts'
import { createRunner } from '../../../src/store/sqlite/run.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { createSealer } from '../../../src/vault/seal.ts'
import { askAll, makeBatch, NOW_MS, NOW_S } from '../batches.ts'

const sealer = createSealer({ current: randomBytes(32) })

function layQueue(t: Pick<Test, 'teardown' | 'fail'>) {
  const db = new DatabaseSync(':memory:')
  t.teardown(() => db.close())
  db.exec(QUEUE_SCHEMA.tables)
  const run = createRunner(db)
  const leases = createLeases([])
  const tx = { leases, sealer, report: t.fail } as unknown as Transaction
  return {
    /** One batch with one event each, which wait. */
    add(ids: readonly number[], eventTimeS = NOW_S - 9) {
      const rows = ids.map((id) => {
        const batch = makeBatch([`event-${id}`], { eventTimesS: [eventTimeS] })
        return planCommit(batch, id, [], sealer).stored!.row
      })
      run(leases.insert(rows, 'waiting'))
    },
    release: (ids: readonly number[]) =>
      run(leases.release(ids.map((batchId) => ({ batchId, attempts: 0, history: [] })))),
    /** Answers the ids, and how many rows the search read. */
    lease(maxEvents: number, nowMs = NOW_MS) {
      let read = 0
      function* counted<Result>(steps: Steps<Result>): Steps<Result> {
        let step: IteratorResult<Step, Result> = steps.next()
        while (step.done !== true) {
          const rows = yield step.value
          if (step.value.kind === 'query' && step.value.text.includes('SKIP LOCKED')) read += rows.length
          step = steps.next(rows)
        }
        return step.value
      }
      const found = run(counted(lease(tx, askAll({ maxEvents, nowMs }))))
      return { ids: found.map(({ batchId }) => batchId), read }
    },
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

t.test('a lease reads past none of the batches that were leased before', async (t) => {
  const queue = layQueue(t)
  queue.add(range(1, 3001))
  for (const from of [1, 601, 1201]) {
    const { ids, read } = queue.lease(600)
    t.strictSame(ids, range(from, from + 600))
    t.ok(read <= 1000, `${read} rows`)
  }
  t.strictSame(queue.lease(600, NOW_MS + 60_000).ids, range(1801, 2401), 'the edge moves on')
})

t.test('what waits again, is replayed or is on time again is found before it', async (t) => {
  const queue = layQueue(t)
  queue.add(range(11, 21))
  queue.lease(5)
  queue.release([12, 14])
  t.strictSame(queue.lease(3).ids, [12, 14, 16])
  queue.add([1, 2])
  t.strictSame(queue.lease(2).ids, [1, 2])

  const late = layQueue(t)
  late.add(range(1, 5), NOW_S - 3700)
  late.add(range(5, 9), NOW_S - 3500)
  t.strictSame(late.lease(1).ids, [5])
  t.strictSame(late.lease(1, NOW_MS - 200_000).ids, [1], 'the clock was set back')

  const aged = layQueue(t)
  aged.add([1, 2])
  aged.add([3], NOW_S + 5000)
  t.strictSame(aged.lease(1).ids, [1])
  t.strictSame(aged.lease(1, NOW_MS + 7_200_000).ids, [3], 'the other one is late now')
})
