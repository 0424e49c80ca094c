/**
 * The totals of each queue. Counts are gathered while a transaction runs and written once at its end, so that they change
 * together with the rows that they count.
 */
import { COUNTERS, type Counter } from '../counters.ts'
import type { DatabaseSync } from 'node:sqlite'
import type { Totals, QueueBacklog, QueueKey } from '../store.ts'
import { prepareRows } from './connection.ts'

/** What a batch takes besides its payload: its rows and seal; the rows and keys of one event. */
export const BATCH_BYTES = 512
export const EVENT_BYTES = 64

export interface Queues {
  find(queue: QueueKey): number | undefined
  /** Makes the queue when it is new. */
  idOf(queue: QueueKey): number
  keyOf(queueId: number): QueueKey
  count(queueId: number, changes: Partial<Record<Counter, number>>): void
  /** Writes what was counted; before COMMIT, and before the counters are read. */
  flush(): void
  /** After a rollback: what was counted, and queues that were made, are gone. */
  forget(): void
  backlog(): QueueBacklog[]
  /** Those that have live batches. */
  liveQueueIds(): number[]
  totals(filter: { readonly adAccountId?: string; readonly isTest?: boolean }): Totals
  /** Over all queues; what was counted and is not written yet is in it. */
  sizes(): Sizes
  /** What an account has queued takes of the store, roughly. Flush first. */
  queuedBytes(adAccountId: string): number
  /** Accounts that have more than this queued. Flush first. */
  accountsAbove(bytes: number): string[]
  /** Queues whose counter of queued events disagrees with their rows. */
  audit(): { readonly queue: QueueKey; readonly counted: number; readonly found: number }[]
}

export interface Sizes {
  /** Of payloads that are queued. */
  readonly bytes: number
  readonly deadBytes: number
}

/** Later than every event: a queue has live batches, replays, or both. */
const NEVER_S = Number.MAX_SAFE_INTEGER

export function createQueues(db: DatabaseSync): Queues {
  const select = prepareRows<[queueId: number]>(
    db,
    'SELECT queue_id FROM queues WHERE ad_account_id = ? AND is_test = ?',
  )
  const insert = db.prepare('INSERT INTO queues (ad_account_id, is_test) VALUES (?, ?)')
  const selectKey = db.prepare('SELECT ad_account_id, is_test FROM queues WHERE queue_id = ?')
  const update = db.prepare(
    `UPDATE queues SET ${COUNTERS.map((name) => `${name} = ${name} + ?`).join(', ')} WHERE queue_id = ?`,
  )
  // Each MIN is the first row of its range in the queue's own order.
  const oldestOf = (isReplay: 0 | 1) =>
    `COALESCE((SELECT MIN(oldest_event_time_s) FROM batches WHERE batches.queue_id = queues.queue_id AND is_replay = ${isReplay}), ${NEVER_S})`
  const waiting = db.prepare(
    `SELECT *, MIN(${oldestOf(0)}, ${oldestOf(1)}) AS oldest FROM queues WHERE batches > 0 ORDER BY ad_account_id, is_test`,
  )
  const waitingLive = prepareRows<[queueId: number]>(
    db,
    'SELECT queue_id FROM queues WHERE batches > 0 AND is_test = 0',
  )
  const sums = db.prepare(
    `SELECT ${COUNTERS.map((name) => `COALESCE(SUM(${name}), 0) AS ${name}`).join(', ')} FROM queues
     WHERE ad_account_id = COALESCE($account, ad_account_id) AND is_test = COALESCE($test, is_test)`,
  )
  const selectSizes = prepareRows<[bytes: number, deadBytes: number]>(
    db,
    'SELECT COALESCE(SUM(bytes), 0), COALESCE(SUM(dead_bytes), 0) FROM queues',
  )
  const queued = `COALESCE(SUM(bytes + ${BATCH_BYTES} * batches + ${EVENT_BYTES} * queued), 0)`
  const selectQueued = prepareRows<[bytes: number]>(
    db,
    `SELECT ${queued} FROM queues WHERE ad_account_id = ?`,
  )
  const selectAbove = prepareRows<[adAccountId: string]>(
    db,
    `SELECT ad_account_id FROM queues WHERE batches > 0 GROUP BY ad_account_id HAVING ${queued} > ?`,
  )
  const ids = new Map<string, number>()
  const counted = new Map<number, Record<Counter, number>>()
  /** Undefined after a rollback, until somebody asks. */
  let sizes: { bytes: number; deadBytes: number } | undefined

  function find(queue: QueueKey): number | undefined {
    const name = nameOf(queue)
    const known = ids.get(name)
    if (known !== undefined) return known
    const row = select.get(queue.adAccountId, Number(queue.isTest))
    if (row !== undefined) ids.set(name, row[0])
    return row?.[0]
  }

  return {
    find,
    idOf(queue) {
      const found = find(queue)
      if (found !== undefined) return found
      const queueId = Number(insert.run(queue.adAccountId, Number(queue.isTest)).lastInsertRowid)
      ids.set(nameOf(queue), queueId)
      return queueId
    },
    keyOf(queueId) {
      return toKey(selectKey.get(queueId)!)
    },
    count(queueId, changes) {
      let sum = counted.get(queueId)
      if (sum === undefined) counted.set(queueId, (sum = zeros()))
      for (const name in changes) sum[name as Counter] += changes[name as Counter]!
      if (sizes === undefined) return
      sizes.bytes += changes.bytes ?? 0
      sizes.deadBytes += changes.dead_bytes ?? 0
    },
    flush() {
      for (const [queueId, sum] of counted) update.run(...COUNTERS.map((name) => sum[name]), queueId)
      counted.clear()
    },
    forget() {
      sizes = undefined
      counted.clear()
      ids.clear()
    },
    backlog() {
      return waiting.all().map((row) => ({
        ...toKey(row),
        batches: Number(row['batches']),
        events: Number(row['queued']),
        oldestEventTimeS: Number(row['oldest']),
      }))
    },
    liveQueueIds: () => waitingLive.all().map(([queueId]) => queueId),
    totals({ adAccountId = null, isTest }) {
      const row = sums.get({ account: adAccountId, test: isTest === undefined ? null : Number(isTest) })
      const { batches: _, bytes: __, dead_bytes: ___, ...totals } = row as unknown as Record<Counter, number>
      return totals
    },
    sizes() {
      if (sizes !== undefined) return sizes
      const [bytes, deadBytes] = selectSizes.get()!
      sizes = { bytes, deadBytes }
      for (const sum of counted.values()) {
        sizes.bytes += sum.bytes
        sizes.deadBytes += sum.dead_bytes
      }
      return sizes
    },
    queuedBytes: (adAccountId) => selectQueued.get(adAccountId)![0],
    accountsAbove: (bytes) => selectAbove.all(bytes).map(([adAccountId]) => adAccountId),
    audit() {
      const rows = db
        .prepare(
          `SELECT * FROM (SELECT ad_account_id, is_test, queued, COALESCE(
             (SELECT SUM(pending_count) FROM batches WHERE batches.queue_id = queues.queue_id), 0) AS found FROM queues)
           WHERE queued <> found`,
        )
        .all()
      return rows.map((row) => ({
        queue: toKey(row),
        counted: Number(row['queued']),
        found: Number(row['found']),
      }))
    },
  }
}

function nameOf({ adAccountId, isTest }: QueueKey): string {
  return `${isTest ? 'test' : 'live'}/${adAccountId}`
}

function toKey(row: Readonly<Record<string, unknown>>): QueueKey {
  return { adAccountId: String(row['ad_account_id']), isTest: row['is_test'] === 1 }
}

function zeros(): Record<Counter, number> {
  return {
    received: 0,
    delivered: 0,
    rejected: 0,
    expired: 0,
    filtered: 0,
    queued: 0,
    duplicate: 0,
    invalid: 0,
    batches: 0,
    bytes: 0,
    dead_bytes: 0,
  }
}
