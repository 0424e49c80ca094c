/** The totals of each queue: events by outcome, batches and bytes. One row per queue and owner, summed when they are read. */
import type { RequestOf } from '../engine/operations.ts'
import { COUNTED_EVENTS, type QueueBacklog, type QueueKey, type Totals } from '../store.ts'
import { nameOfQueue, toQueue, type QueueRow } from './rows.ts'
import { insert, query, type Steps } from './sql.ts'

/** Columns of the table, with SQLite and with PostgreSQL. */
export const COUNTERS = [...COUNTED_EVENTS, 'batches', 'bytes', 'dead_bytes', 'trail_bytes'] as const

type Counter = (typeof COUNTERS)[number]
type Counts = Readonly<Record<Counter, number>>
export type Changes = Partial<Counts>

const ZEROS = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Counts

export type TotalCounts = ReturnType<typeof createTotalCounts>

/** Gathers what a transaction counts, to be written by one statement at its end, with the rows that it counts. */
export function createTotalCounts() {
  const counted = new Map<string, readonly [QueueKey, Record<Counter, number>]>()
  return {
    count(this: void, queue: QueueKey, changes: Changes): void {
      const name = nameOfQueue(queue)
      let entry = counted.get(name)
      if (entry === undefined) counted.set(name, (entry = [queue, { ...ZEROS }]))
      for (const counter in changes) entry[1][counter as Counter] += changes[counter as Counter]!
    },
    /** Counted, but not taken yet. */
    sum: (counter: Counter) => [...counted.values()].reduce((all, [, counts]) => all + counts[counter], 0),
    /** Answers what was counted, and begins again with nothing. */
    take(this: void): (readonly [QueueKey, Counts])[] {
      const taken = [...counted.values()]
      counted.clear()
      return taken
    },
  }
}

/** Called once, at the transaction's end. */
export function* writeTotals(totals: TotalCounts, ownerId: number): Steps<void> {
  const rows = totals.take().map(([{ adAccountId, isTest }, counts]) => ({
    ad_account_id: adAccountId,
    is_test: isTest,
    owner_id: ownerId,
    ...counts,
  }))
  yield* insert('totals', rows, ADD)
}

/** Adds to the counters that a row has already. */
export const ADD = `ON CONFLICT (ad_account_id, is_test, owner_id) DO UPDATE SET
  ${COUNTERS.map((name) => `${name} = totals.${name} + excluded.${name}`).join(', ')}`

export function* readTotals({ adAccountId, isTest }: RequestOf<'totals'>): Steps<Totals> {
  const [row] = yield* query<Totals>(
    `SELECT ${COUNTED_EVENTS.map((name) => `COALESCE(SUM(${name}), 0)::bigint AS ${name}`).join(', ')} FROM totals
     WHERE ($1::text IS NULL OR ad_account_id = $1) AND ($2::boolean IS NULL OR is_test = $2)`,
    [adAccountId ?? null, isTest ?? null],
  )
  return { ...row! }
}

type BacklogRow = QueueRow &
  Pick<Counts, 'batches' | 'queued'> &
  Readonly<Record<`oldest_${1 | 2 | 3}`, number | null>>

/** The oldest of a queue is the first row of the waiting index, or a leased one. */
export function* readBacklog(): Steps<QueueBacklog[]> {
  const oldestWaiting = (isReplay: boolean) =>
    `(SELECT MIN(oldest_event_time_s) FROM batches b WHERE owner_id IS NULL AND b.ad_account_id = queues.ad_account_id
        AND b.is_test = queues.is_test AND is_replay = ${isReplay})`
  const rows = yield* query<BacklogRow>(
    `WITH queues AS (
       SELECT ad_account_id, is_test, SUM(batches)::bigint AS batches, SUM(queued)::bigint AS queued FROM totals
       GROUP BY ad_account_id, is_test HAVING SUM(batches) > 0),
     leased AS (
       SELECT ad_account_id, is_test, MIN(oldest_event_time_s) AS oldest FROM batches WHERE owner_id IS NOT NULL
       GROUP BY ad_account_id, is_test)
     SELECT queues.ad_account_id, queues.is_test, batches, queued, leased.oldest AS oldest_1,
       ${oldestWaiting(false)} AS oldest_2, ${oldestWaiting(true)} AS oldest_3
     FROM queues LEFT JOIN leased ON leased.ad_account_id = queues.ad_account_id AND leased.is_test = queues.is_test
     ORDER BY queues.ad_account_id, queues.is_test`,
  )
  return rows.map((row) => ({
    ...toQueue(row),
    batches: row.batches,
    events: row.queued,
    oldestEventTimeS: Math.min(...[row.oldest_1, row.oldest_2, row.oldest_3].flatMap((one) => one ?? [])),
  }))
}

export interface StoredBytes {
  /** Of payloads that are queued. */
  readonly queuedBytes: number
  readonly deadLetterBytes: number
  readonly trailBytes: number
}

export function* readBytes(): Steps<StoredBytes> {
  const [row] = yield* query<StoredBytes>(
    `SELECT COALESCE(SUM(bytes), 0)::bigint AS "queuedBytes", COALESCE(SUM(dead_bytes), 0)::bigint AS "deadLetterBytes",
       COALESCE(SUM(trail_bytes), 0)::bigint AS "trailBytes" FROM totals`,
  )
  return row!
}
