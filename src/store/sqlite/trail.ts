/**
 * The rows of the event trail (core/trail.ts), and how they are found and deleted. A row's id is its bucket's number and the
 * row's number within it, so that the table is sorted by bucket without an index.
 */
import type { DatabaseSync } from 'node:sqlite'
import {
  bucketOf,
  bytesOfTrailRow,
  TRAIL_QUEUE,
  TRAIL_ROW_BYTES,
  type NewTrailRow,
  type TrailWriter,
} from '../core/trail.ts'
import { createTrailTail, type TrailTail } from '../core/trail-tail.ts'
import {
  countToTrim,
  toTrailStep,
  TRAIL_STEP_BUCKETS,
  TRAIL_STEP_ROWS,
  type TrailHint,
  type TrailRow,
  type TrailStep,
  type TrailStepRequest,
} from '../core/trail-search.ts'
import type { TrimTrailRequest } from '../trail.ts'
import { prepare } from './connection.ts'
import type { TotalCounts } from './totals.ts'
import { COUNTERS } from '../core/counters.ts'

export interface Trail extends Pick<TrailWriter, 'post' | 'outcome'> {
  readonly tail: TrailTail
  search(request: TrailStepRequest): TrailStep
  /** All rows of the buckets of these batches. */
  rowsOf(batchIds: readonly number[]): TrailRow[]
  trim(request: TrimTrailRequest): number
  /** No limit until it is set. */
  keepBelow(bytes: number): void
  /** Writes what was added. */
  flush(): void
  keep(): void
  undo(): void
}

/** Rows within a bucket: 64 batches with 1,000 events each, acknowledged one by one, and a few. */
const ROW_BITS = 17
const BYTES_SQL = `(octet_length(ids) + octet_length(entries) + ${TRAIL_ROW_BYTES})`
/** Bounds what one transaction removes for the newer rows' sake; the rest is left to `trim`. */
const REMOVED_PER_TRANSACTION = 32
/** What stays open: as much as a row of `totals` holds without a page more. */
const OPEN_LENGTH = 850
const OPEN_EVENTS = 12

export function createTrail(db: DatabaseSync, totals: TotalCounts, writer: TrailWriter): Trail {
  const tail = createTrailTail()
  const insert = db.prepare(
    `INSERT INTO trail (id, received_at_ms, marks, ids, entries)
     SELECT 1 + COALESCE(MAX(id), (?1 << ${ROW_BITS}) - 1), ?2, ?3, ?4, ?5 FROM trail
     WHERE id >= (?1 << ${ROW_BITS}) AND id < ((?1 + 1) << ${ROW_BITS})`,
  )
  // Ids are beyond what a number holds exactly.
  const idText = 'CAST(id AS TEXT) AS id'
  const selectOldest = prepare<{ id: string; received_at_ms: number; bytes: number }>(
    db,
    `SELECT ${idText}, received_at_ms, ${BYTES_SQL} AS bytes FROM trail ORDER BY trail.id LIMIT ?`,
  )
  const removeUpTo = db.prepare('DELETE FROM trail WHERE id <= CAST(? AS INTEGER)')
  const open = createOpenText(db, writer)
  let limitBytes = Infinity

  function closeRows(): void {
    for (const row of writer.rows()) {
      insert.run(row.bucket, row.received_at_ms, row.marks, row.ids, row.entries)
      totals.count(TRAIL_QUEUE, { trail_bytes: bytesOfTrailRow(row) })
    }
    writer.open()
    open.set('')
  }

  function trim({ receivedBeforeMs, limit }: TrimTrailRequest): number {
    closeRows()
    const oldest = selectOldest.all(limit)
    const count = countToTrim(oldest, receivedBeforeMs, totals.sizes().trailBytes - limitBytes)
    if (count === 0) return 0
    removeUpTo.run(oldest[count - 1]!.id)
    const bytes = oldest.slice(0, count).reduce((sum, row) => sum + row.bytes, 0)
    totals.count(TRAIL_QUEUE, { trail_bytes: -bytes })
    return count
  }

  return {
    tail,
    post: writer.post,
    outcome: writer.outcome,
    ...createSearch(db, writer),
    trim,
    keepBelow: (bytes) => void (limitBytes = bytes),

    flush() {
      if (writer.touched.size === 0) return
      const text = writer.size() > OPEN_EVENTS ? undefined : writer.text()
      if (text !== undefined && text.length <= OPEN_LENGTH) return open.set(text)
      closeRows()
      if (totals.sizes().trailBytes > limitBytes)
        trim({ receivedBeforeMs: 0, limit: REMOVED_PER_TRANSACTION })
    },
    keep() {
      tail.note(writer.touched)
      writer.touched.clear()
      open.keep()
    },
    undo() {
      writer.touched.clear()
      open.undo()
    },
  }
}

function createSearch(db: DatabaseSync, writer: TrailWriter): Pick<Trail, 'search' | 'rowsOf'> {
  const first = `(? << ${ROW_BITS})`
  const stepEnd = prepare<{ bucket: number; received_at_ms: number }>(
    db,
    `SELECT id >> ${ROW_BITS} AS bucket, received_at_ms FROM trail WHERE id < ${first}
     ORDER BY id DESC LIMIT 1 OFFSET ${TRAIL_STEP_ROWS - 1}`,
  )
  const selectBuckets = prepare<{ bucket: number }>(
    db,
    `SELECT id >> ${ROW_BITS} AS bucket FROM trail WHERE id >= ${first} AND id < ${first}
       AND (? IS NULL OR marks & ?) AND (? IS NULL OR instr(ids, ?) > 0) ORDER BY id DESC`,
  )
  const selectRows = prepare<TrailRow>(
    db,
    `SELECT id >> ${ROW_BITS} AS bucket, entries FROM trail WHERE id >= ${first} AND id < ${first} ORDER BY id`,
  )

  function rowsOfBuckets(buckets: readonly number[]): TrailRow[] {
    const added = writer.rows()
    return buckets.flatMap((bucket) => [
      ...selectRows.all(bucket, bucket + 1),
      ...added.filter((row) => row.bucket === bucket),
    ])
  }

  return {
    search(request) {
      const { fromBucket, marks, ids, mostBuckets = TRAIL_STEP_BUCKETS } = request
      // Beyond every bucket, and no number that a shift would break.
      const below = Math.min(fromBucket + 1, NO_BUCKET)
      const end = stepEnd.get(below)
      const bottom = end?.bucket ?? 0
      const found = new Set<number>()
      const [mark, id] = [marks ?? null, ids ?? null]
      for (const { bucket } of selectBuckets.iterate(bottom, below, mark, mark, id, id)) {
        found.add(bucket)
        if (found.size === mostBuckets) break
      }
      for (const row of writer.rows())
        if (row.bucket >= bottom && row.bucket < below && mayHave(row, request)) found.add(row.bucket)
      const buckets = [...found].sort((one, other) => other - one).slice(0, mostBuckets)
      return toTrailStep(buckets, rowsOfBuckets(buckets), end, request)
    },

    rowsOf: (batchIds) => rowsOfBuckets([...new Set(batchIds.map(bucketOf))]),
  }
}

/** The rows that are not in the table yet, as this transaction has them, and as the last one left them. */
function createOpenText(db: DatabaseSync, writer: TrailWriter) {
  const key = [TRAIL_QUEUE.adAccountId, Number(TRAIL_QUEUE.isTest)] as const
  const write = db.prepare(
    `INSERT INTO totals (ad_account_id, is_test, ${COUNTERS.join(', ')}, open_trail)
     VALUES (?, ?${', 0'.repeat(COUNTERS.length)}, ?) ON CONFLICT DO UPDATE SET open_trail = excluded.open_trail`,
  )
  const stored = prepare<{ open_trail: string | null }>(
    db,
    'SELECT open_trail FROM totals WHERE ad_account_id = ? AND is_test = ?',
  ).get(...key)
  let text = stored?.open_trail ?? ''
  let keptText = text
  try {
    writer.open(text)
    writer.rows()
  } catch {
    // Damaged on the disk: they are lost, and written over.
    text = keptText = ''
    writer.open()
  }
  return {
    set(to: string) {
      if (to !== text) write.run(...key, to)
      text = to
    },
    keep: () => void (keptText = text),
    undo() {
      text = keptText
      writer.open(text)
    },
  }
}

function mayHave(row: NewTrailRow, { marks, ids }: TrailHint): boolean {
  return (
    (marks === undefined || (row.marks & marks) > 0) &&
    (ids === undefined || Buffer.from(row.ids).includes(Buffer.from(ids)))
  )
}

/** Ids of batches are microseconds since the epoch: this is in the year 2112. */
const NO_BUCKET = 2 ** (63 - ROW_BITS) - 1
