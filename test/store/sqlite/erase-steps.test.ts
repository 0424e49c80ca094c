/** Erasing looks through the event trail in transactions, between which posts are stored: each opens one bucket. */
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { BUCKET_BATCHES, createTrailWriter } from '../../../src/store/core/trail.ts'
import type { ErasePosition } from '../../../src/store/core/erase.ts'
import { createErase } from '../../../src/store/sqlite/erase.ts'
import { QUEUE_SCHEMA } from '../../../src/store/sqlite/schema.ts'
import type { QueueTables } from '../../../src/store/sqlite/queue-tables.ts'
import { createTrail } from '../../../src/store/sqlite/trail.ts'
import { LIVE, makePost, NOW_MS } from '../batches.ts'

const BUCKETS = 5

t.test('where all events have the same order id, each step opens one bucket', async (t) => {
  using db = new DatabaseSync(':memory:')
  db.exec(QUEUE_SCHEMA.tables)
  const totals = {
    count: () => undefined,
    sizes: () => ({ trailBytes: 0 }),
  } as unknown as QueueTables['totals']
  const trail = createTrail(db, totals, createTrailWriter(true, Date.now))
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    trail.post(bucket * BUCKET_BATCHES, LIVE, makePost([`e-${bucket}`], { orderIds: ['none'] }).trail!, [])
  }
  trail.flush()
  const opened: number[] = []
  const search: typeof trail.search = (request) => {
    const step = trail.search(request)
    opened.push(new Set(step.rows.map((row) => row.bucket)).size)
    return step
  }
  const erase = createErase({ db, totals, trail: { ...trail, search } } as unknown as QueueTables)
  let position: ErasePosition | undefined = { table: 'trail', at: undefined }
  while (position !== undefined) position = erase({ orderId: 'none', nowMs: NOW_MS, position }).next
  t.same(opened.slice(0, BUCKETS), [1, 1, 1, 1, 1])
  t.equal(
    opened.reduce((sum, count) => sum + count, 0),
    BUCKETS,
  )
})
