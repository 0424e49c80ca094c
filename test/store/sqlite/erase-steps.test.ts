/** Erasing looks through the event trail in transactions, between which posts are stored: each opens one bucket. */
import { randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { createSealer } from '../../../src/vault/seal.ts'
import { erase, ERASED_IN } from '../../../src/store/core/erase.ts'
import type { Steps } from '../../../src/store/core/sql.ts'
import { BUCKET_BATCHES } from '../../../src/store/core/trail.ts'
import type { Position } from '../../../src/store/core/walk.ts'
import { createQueueTables } from '../../../src/store/sqlite/queue-tables.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import { makePost, NOW_MS } from '../batches.ts'

const BUCKETS = 5

t.test('where all events have the same order id, each step opens one bucket', async (t) => {
  using db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.tables)
  const sealer = createSealer({ current: randomBytes(32) })
  const options = {
    db,
    vaultDb: db,
    sealer,
    lastBatchId: 0,
    hasTrail: true,
    wallMs: () => NOW_MS,
    onProblem() {},
  }
  const tables = createQueueTables(options)
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const post = makePost([`e-${bucket}`], { orderIds: ['none'] })
    tables.trail.post(bucket * BUCKET_BATCHES, post, [])
  }
  tables.run(tables.closeTrail())
  const opened: number[] = []
  function* watch<Result>(steps: Steps<Result>): Steps<Result> {
    let step = steps.next()
    while (step.done !== true) {
      const rows = yield step.value
      if (rows.some((row) => 'entries' in row)) opened.push(new Set(rows.map((row) => row['bucket'])).size)
      step = steps.next(rows)
    }
    return step.value
  }
  let from: Position | undefined = { table: ERASED_IN.length - 1, at: undefined }
  while (from !== undefined) {
    from = tables.run(watch(erase(tables, { orderId: 'none', nowMs: NOW_MS, from }))).next
  }
  t.same(opened, [1, 1, 1, 1, 1])
})
