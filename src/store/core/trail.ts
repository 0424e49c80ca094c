/**
 * The event trail's rows: what a transaction adds, and how a search puts it together again.
 *
 * A row has what transactions say of the posts of one bucket, 64 consecutive batch ids: the posts that they took, and
 * outcomes. So a bucket's rows are all that is known of its events, in one place of the table, and a transaction writes one
 * row, seldom more. Per event with random ids, measured: 88 bytes in groups of 30 posts, 11 GB for 130 million events (72 hours, 500
 * per second), and 32 in posts of 100. They are found by a walk, newest first: `ids` has three bytes per id, so that a row is opened only
 * where the id most likely is, and so for accounts, sources and all outcomes but the usual ones.
 */
import type { Acknowledgement, DeadEvent, PostOfTrail, QueueKey } from '../store.ts'
import type { Outcome } from '../trail.ts'
import { addPost, createEntries, EVENT_SIZE, packEntries, type Entries } from './trail-entries.ts'
import { toPairs } from './rows.ts'
import type { TotalCounts } from './totals.ts'

/** Replicas share a bucket: each of its rows is of one of them. */
export const BUCKET_BATCHES = 64
/** The trail's part of what the store may use. */
export const TRAIL_PART = 0.05
/** What a row takes besides its two blobs. */
export const TRAIL_ROW_BYTES = 32
/** Whose counters hold the trail's bytes: a row is of many queues. */
export const TRAIL_QUEUE: QueueKey = { adAccountId: '', isTest: false }

export interface NewTrailRow {
  readonly bucket: number
  /** The newest post's arrival; 0 of a row that has outcomes alone, which is deleted with its neighbours. */
  readonly received_at_ms: number
  readonly ids: Uint8Array
  readonly entries: Uint8Array
}

/** An acknowledgement that was taken: `dead` are those that had no outcome yet. Erasing is one, too. */
export interface TrailOutcome extends Omit<Acknowledgement, 'dead'> {
  readonly dead: readonly (Pick<DeadEvent, 'index' | 'reason' | 'attempts' | 'history'> & {
    readonly status: DeadEvent['status'] | 'erased'
  })[]
}

export type TrailWriter = ReturnType<typeof createTrailWriter>

/** Gathers what one transaction says, or several; nothing more where the trail is off. */
export function createTrailWriter(isOn: boolean, wallMs: () => number) {
  let rows = new Map<number, Entries>()
  let size = 0
  const touched = new Set<number>()

  function rowOf(batchId: number): Entries {
    touched.add(batchId)
    const bucket = bucketOf(batchId)
    let row = rows.get(bucket)
    if (row === undefined) rows.set(bucket, (row = createEntries(wallMs())))
    return row
  }

  return {
    /** Batches that were added to, for those who follow the trail. */
    touched,
    /** `duplicates`: positions among the prepared events, ascending. */
    post(batchId: number, post: PostOfTrail, duplicates: readonly number[]): void {
      if (!isOn) return
      addPost(rowOf(batchId), placeOf(batchId), post, duplicates, wallMs())
      size += post.events.length
    },
    outcome({ batchId, acknowledgedAtMs: atMs, call, failures = [], delivered, dead }: TrailOutcome): void {
      if (!isOn || (delivered !== 'rest' && delivered.length + dead.length === 0)) return
      const { outcomes } = rowOf(batchId)
      size += 1
      const place = placeOf(batchId)
      const [callId, startedAtMs] = call === undefined ? [0 as const, 0] : [call.id, call.startedAtMs]
      const last = outcomes.at(-1)
      const isWhole = delivered === 'rest' && dead.length === 0 && failures.length === 0
      // Batches that one call delivers whole are one entry: nearly all are.
      if (isWhole && last?.length === 4 && last[0] === atMs && last[1] === callId) last[3].push(place)
      else if (isWhole) outcomes.push([atMs, callId, startedAtMs, [place]])
      else
        outcomes.push([
          atMs,
          callId,
          startedAtMs,
          [place],
          toPairs(failures),
          delivered === 'rest' ? 0 : delivered,
          dead.map((one) => [one.index, one.status, one.reason, one.attempts, toPairs(one.history)]),
        ])
    },
    /** What was added since it was opened, and what it was opened with. */
    rows: () => Array.from(rows, ([bucket, row]) => toRow(bucket, row)),
    /** How many events and outcomes were added since it was opened. */
    size: () => size,
    /** The same rows, for `open`. */
    text: () => (rows.size === 0 ? '' : JSON.stringify([...rows])),
    /** Begins anew, with these rows or none. */
    open(text = ''): void {
      rows = new Map(text === '' ? [] : (JSON.parse(text) as [number, Entries][]))
      size = 0
    },
  }
}

function toRow(bucket: number, row: Entries): NewTrailRow {
  /** Few are there twice. */
  const ids: string[] = []
  const outcomes = new Set<Outcome>()
  let receivedAtMs = 0
  for (const [adAccountId, , , source] of row.senders) {
    ids.push(accountMark(adAccountId))
    if (source !== 0) ids.push(sourceMark(source))
  }
  for (const [, , receivedMs, , events, notes = []] of row.posts) {
    receivedAtMs = Math.max(receivedAtMs, row.begunAtMs + receivedMs)
    for (let at = 0; at < events.length; at += EVENT_SIZE) {
      const [eventId, orderId] = [events[at + 1], events[at + 2]]
      if (typeof eventId === 'string') ids.push(eventId)
      if (typeof orderId === 'string') ids.push(orderId)
    }
    for (const [, outcome] of notes) if (outcome !== 0) outcomes.add(outcome)
  }
  for (const [, , , , , , dead = []] of row.outcomes) for (const [, status] of dead) outcomes.add(status)
  for (const outcome of outcomes) ids.push(outcomeMark(outcome))
  return { bucket, received_at_ms: receivedAtMs, ids: packIds(ids), entries: packEntries(row) }
}

export function bucketOf(batchId: number): number {
  return Math.floor(batchId / BUCKET_BATCHES)
}

function placeOf(batchId: number): number {
  return batchId % BUCKET_BATCHES
}

/** Rows that are written. */
export function countTrail({ count }: Pick<TotalCounts, 'count'>, rows: readonly NewTrailRow[]): void {
  for (const { ids, entries } of rows)
    count(TRAIL_QUEUE, { trail_bytes: TRAIL_ROW_BYTES + ids.byteLength + entries.byteLength })
}

/** FNV-1a: fast and well distributed is enough. */
function hashId(id: string): number {
  let hash = 0x811c9dc5 | 0
  for (let index = 0; index < id.length; index++) {
    hash = Math.imul(hash ^ id.charCodeAt(index), 0x01000193)
  }
  return hash
}

/** Whose posts a row has, by which source, and what became of them: among the ids, and like none of them. */
export const accountMark = (adAccountId: string) => `account\n${adAccountId}`
export const sourceMark = (source: string) => `source\n${source}`
export const outcomeMark = (outcome: Outcome) => `outcome\n${outcome}`

/** A search over five million ids opens about one bucket for nothing: a few milliseconds. */
const HASH_BYTES = 3

/** As in `ids` of a row that has these. */
export function packIds(ids: readonly string[]): Buffer {
  const bytes = Buffer.allocUnsafe(HASH_BYTES * ids.length)
  let at = 0
  for (const id of ids) at = bytes.writeUIntBE(hashId(id) & 0xffffff, at, HASH_BYTES)
  return bytes
}
