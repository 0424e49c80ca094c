/**
 * The books of each lane. Counts are gathered while a transaction runs and written once at its end, so that they change
 * together with the rows that they count.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Books, LaneBacklog, LaneKey } from '../store.ts'
import { prepareRows } from './connection.ts'

/** What a parcel takes besides its payload: its rows and seal; the rows and keys of one event. */
export const PARCEL_BYTES = 512
export const EVENT_BYTES = 64

/** The columns of `lanes` that count. */
const COUNTERS = [
  'received',
  'delivered',
  'rejected',
  'expired',
  'queued',
  'duplicate',
  'refused',
  'parcels',
  'bytes',
  'dead_bytes',
] as const

export type Counter = (typeof COUNTERS)[number]

export interface Lanes {
  find(lane: LaneKey): number | undefined
  /** Makes the lane when it is new. */
  idOf(lane: LaneKey): number
  keyOf(laneId: number): LaneKey
  count(laneId: number, changes: Partial<Record<Counter, number>>): void
  /** Writes what was counted; before COMMIT, and before the counters are read. */
  flush(): void
  /** After a rollback: what was counted, and lanes that were made, are gone. */
  forget(): void
  backlog(): LaneBacklog[]
  /** Those that have live parcels. */
  liveLaneIds(): number[]
  books(filter: { readonly adAccountId?: string; readonly isTest?: boolean }): Books
  /** Over all lanes; what was counted and is not written yet is in it. */
  totals(): Totals
  /** What an account has queued takes of the store, roughly. Flush first. */
  queuedBytes(adAccountId: string): number
  /** Accounts that have more than this queued. Flush first. */
  accountsAbove(bytes: number): string[]
  /** Lanes whose counter of queued events disagrees with their rows. */
  audit(): { readonly lane: LaneKey; readonly counted: number; readonly found: number }[]
}

export interface Totals {
  /** Of payloads that are queued. */
  readonly bytes: number
  readonly deadBytes: number
}

/** Later than every event: a lane has live parcels, replays, or both. */
const NEVER_S = Number.MAX_SAFE_INTEGER

export function createLanes(db: DatabaseSync): Lanes {
  const select = prepareRows<[laneId: number]>(
    db,
    'SELECT lane_id FROM lanes WHERE ad_account_id = ? AND is_test = ?',
  )
  const insert = db.prepare('INSERT INTO lanes (ad_account_id, is_test) VALUES (?, ?)')
  const selectKey = db.prepare('SELECT ad_account_id, is_test FROM lanes WHERE lane_id = ?')
  const update = db.prepare(
    `UPDATE lanes SET ${COUNTERS.map((name) => `${name} = ${name} + ?`).join(', ')} WHERE lane_id = ?`,
  )
  // Each MIN is the first row of its range in the queue's own order.
  const oldestOf = (isReplay: 0 | 1) =>
    `COALESCE((SELECT MIN(oldest_event_time_s) FROM queue WHERE queue.lane_id = lanes.lane_id AND is_replay = ${isReplay}), ${NEVER_S})`
  const waiting = db.prepare(
    `SELECT *, MIN(${oldestOf(0)}, ${oldestOf(1)}) AS oldest FROM lanes WHERE parcels > 0 ORDER BY ad_account_id, is_test`,
  )
  const waitingLive = prepareRows<[laneId: number]>(
    db,
    'SELECT lane_id FROM lanes WHERE parcels > 0 AND is_test = 0',
  )
  const sums = db.prepare(
    `SELECT ${COUNTERS.map((name) => `COALESCE(SUM(${name}), 0) AS ${name}`).join(', ')} FROM lanes
     WHERE ad_account_id = COALESCE($account, ad_account_id) AND is_test = COALESCE($test, is_test)`,
  )
  const selectTotals = prepareRows<[bytes: number, deadBytes: number]>(
    db,
    'SELECT COALESCE(SUM(bytes), 0), COALESCE(SUM(dead_bytes), 0) FROM lanes',
  )
  const queued = `COALESCE(SUM(bytes + ${PARCEL_BYTES} * parcels + ${EVENT_BYTES} * queued), 0)`
  const selectQueued = prepareRows<[bytes: number]>(db, `SELECT ${queued} FROM lanes WHERE ad_account_id = ?`)
  const selectAbove = prepareRows<[adAccountId: string]>(
    db,
    `SELECT ad_account_id FROM lanes WHERE parcels > 0 GROUP BY ad_account_id HAVING ${queued} > ?`,
  )
  const ids = new Map<string, number>()
  const counted = new Map<number, Record<Counter, number>>()
  /** Undefined after a rollback, until somebody asks. */
  let totals: { bytes: number; deadBytes: number } | undefined

  function find(lane: LaneKey): number | undefined {
    const name = nameOf(lane)
    const known = ids.get(name)
    if (known !== undefined) return known
    const row = select.get(lane.adAccountId, Number(lane.isTest))
    if (row !== undefined) ids.set(name, row[0])
    return row?.[0]
  }

  return {
    find,
    idOf(lane) {
      const found = find(lane)
      if (found !== undefined) return found
      const laneId = Number(insert.run(lane.adAccountId, Number(lane.isTest)).lastInsertRowid)
      ids.set(nameOf(lane), laneId)
      return laneId
    },
    keyOf(laneId) {
      return toKey(selectKey.get(laneId)!)
    },
    count(laneId, changes) {
      let sum = counted.get(laneId)
      if (sum === undefined) counted.set(laneId, (sum = zeros()))
      for (const name in changes) sum[name as Counter] += changes[name as Counter]!
      if (totals === undefined) return
      totals.bytes += changes.bytes ?? 0
      totals.deadBytes += changes.dead_bytes ?? 0
    },
    flush() {
      for (const [laneId, sum] of counted) update.run(...COUNTERS.map((name) => sum[name]), laneId)
      counted.clear()
    },
    forget() {
      totals = undefined
      counted.clear()
      ids.clear()
    },
    backlog() {
      return waiting.all().map((row) => ({
        ...toKey(row),
        parcels: Number(row['parcels']),
        events: Number(row['queued']),
        oldestEventTimeS: Number(row['oldest']),
      }))
    },
    liveLaneIds: () => waitingLive.all().map(([laneId]) => laneId),
    books({ adAccountId = null, isTest }) {
      const row = sums.get({ account: adAccountId, test: isTest === undefined ? null : Number(isTest) })
      const { parcels: _, bytes: __, dead_bytes: ___, ...books } = row as unknown as Record<Counter, number>
      return books
    },
    totals() {
      if (totals !== undefined) return totals
      const [bytes, deadBytes] = selectTotals.get()!
      totals = { bytes, deadBytes }
      for (const sum of counted.values()) {
        totals.bytes += sum.bytes
        totals.deadBytes += sum.dead_bytes
      }
      return totals
    },
    queuedBytes: (adAccountId) => selectQueued.get(adAccountId)![0],
    accountsAbove: (bytes) => selectAbove.all(bytes).map(([adAccountId]) => adAccountId),
    audit() {
      const rows = db
        .prepare(
          `SELECT * FROM (SELECT ad_account_id, is_test, queued, COALESCE(
             (SELECT SUM(pending_count) FROM queue WHERE queue.lane_id = lanes.lane_id), 0) AS found FROM lanes)
           WHERE queued <> found`,
        )
        .all()
      return rows.map((row) => ({
        lane: toKey(row),
        counted: Number(row['queued']),
        found: Number(row['found']),
      }))
    },
  }
}

function nameOf({ adAccountId, isTest }: LaneKey): string {
  return `${isTest ? 'test' : 'live'}/${adAccountId}`
}

function toKey(row: Readonly<Record<string, unknown>>): LaneKey {
  return { adAccountId: String(row['ad_account_id']), isTest: row['is_test'] === 1 }
}

function zeros(): Record<Counter, number> {
  return {
    received: 0,
    delivered: 0,
    rejected: 0,
    expired: 0,
    queued: 0,
    duplicate: 0,
    refused: 0,
    parcels: 0,
    bytes: 0,
    dead_bytes: 0,
  }
}
