/**
 * Erases events by their ids, in bounded steps. Dead letters are erased before the queue, since one may be replayed
 * meanwhile, and after it, since an event may become one; the event trail is last. A payload keeps its positions:
 * an erased event becomes `{}`. What is leased is only counted, since a call may be made of it.
 */
import { EVENT_SEPARATOR, splitEvents } from '../payload.ts'
import type { Erased } from '../trail.ts'
import type { RequestOf } from '../engine/operations.ts'
import { acknowledgeBatch, writeBatches, type PendingBatch } from './acknowledge.ts'
import { findDeadLetters, removeDeadLetters } from './dead-letters.ts'
import { addPosition, listPositions, makeBitmap, toQueue, type BatchRow } from './rows.ts'
import { bindBatch, openSealed, readIdentity } from './sealed.ts'
import { query, type Steps } from './sql.ts'
import { postsOfBucket } from './trail-posts.ts'
import { isWanted, searchTrailStep } from './trail-search.ts'
import type { Transaction } from './transaction.ts'
import { nextPosition, type WalkStep } from './walk.ts'

type Request = RequestOf<'erase'>
type EraseStep = WalkStep<Erased>

/** In this order. Each step begins at the dead letter before its position, the batch after it, or this bucket of the trail. */
export const ERASED_IN = [eraseDeadLetters, eraseBatches, eraseDeadLetters, eraseInTrail]

const NOTHING_ERASED: Erased = { queued: 0, deadLetters: 0, leased: 0 }
/** Batches that one step opens. */
const ERASE_STEP_BATCHES = 32
const STEP_DEAD_LETTERS = 2000

export function* erase(tx: Transaction, request: Request): Steps<EraseStep> {
  return yield* ERASED_IN[request.from.table]!(tx, request)
}

function* eraseBatches(tx: Transaction, request: Request): Steps<EraseStep> {
  const rows = yield* query<BatchRow & { readonly owner_id: number | null }>(
    `SELECT * FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT ${ERASE_STEP_BATCHES} FOR UPDATE`,
    [request.from.at ?? 0],
  )
  let [queued, leased] = [0, 0]
  const changed: Pick<BatchRow, 'batch_id' | 'event_count' | 'pending_count' | 'acknowledged' | 'sealed'>[] =
    []
  for (const row of rows) {
    const { batch_id } = row
    const queue = toQueue(row)
    const payload = openSealed(tx.sealer, row.sealed, bindBatch(queue))
    const events = payload === undefined ? [] : splitEvents(payload)
    const meant = new Set(
      Array.from(events.keys()).filter((index) => isMeant(events[index]!, queue.adAccountId, request)),
    )
    if (meant.size === 0) continue
    if (row.owner_id !== null || tx.leases.isHeld(batch_id)) {
      leased += meant.size
      continue
    }
    const dead = [...meant].map((index) => ({ index, ...ERASED }))
    const counted = countAnew(row, events.length)
    const { pendingCount, acknowledged, died, counts } = acknowledgeBatch(counted, { delivered: [], dead })
    const kept = events.map((json, index) => (meant.has(index) ? '{}' : json)).join(EVENT_SEPARATOR)
    const sealed = tx.sealer.seal(Buffer.from(kept), bindBatch(queue))
    const { event_count } = counted
    changed.push({ batch_id, event_count, pending_count: pendingCount, acknowledged, sealed })
    tx.totals.count(queue, counts)
    tx.trail.outcome({ batchId: batch_id, delivered: [], dead: died, acknowledgedAtMs: request.nowMs })
    queued += died.length
  }
  yield* writeBatches(tx, changed)
  const at = rows.length < ERASE_STEP_BATCHES ? undefined : rows.at(-1)!.batch_id
  return { ...NOTHING_ERASED, queued, leased, next: nextPosition(request.from, at, ERASED_IN) }
}

/** The counts of a damaged row may be wrong, those of a payload that a key opens are not: no event but those meant must go. */
function countAnew(row: BatchRow, eventCount: number): PendingBatch {
  const known = row.acknowledged === null ? [] : listPositions(row.acknowledged)
  const acknowledged = makeBitmap(eventCount)
  const gone = known.filter((position) => position < eventCount && addPosition(acknowledged, position))
  return { ...row, event_count: eventCount, pending_count: eventCount - gone.length, acknowledged }
}

function* eraseDeadLetters(tx: Transaction, request: Request): Steps<EraseStep> {
  const { nowMs: _, from, ...filter } = request
  const wanted = { ...filter, limit: STEP_DEAD_LETTERS, beforeId: from.at ?? Number.MAX_SAFE_INTEGER }
  const { rows, beforeId } = yield* findDeadLetters(tx.sealer, wanted, 'FOR UPDATE')
  yield* removeDeadLetters(tx, rows)
  return { ...NOTHING_ERASED, deadLetters: rows.length, next: nextPosition(from, beforeId, ERASED_IN) }
}

/** Of events that died before the erasure began, whose dead letters are gone now. */
function* eraseInTrail(tx: Transaction, request: Request): Steps<EraseStep> {
  const { nowMs, from, ...filter } = request
  // One bucket: it may hold 64,000 events with this id, where a shop gives all its orders the same.
  const step = { ...filter, fromBucket: from.at ?? Number.MAX_SAFE_INTEGER, mostBuckets: 1 }
  const { rows, nextBucket } = yield* searchTrailStep(step, tx.trail.rows())
  for (const event of postsOfBucket(rows).flatMap((post) => post.events(filter))) {
    const { batchId, index, outcome, updatedAtMs } = event
    const isDead = updatedAtMs <= nowMs && (outcome === 'rejected' || outcome === 'expired')
    if (!isDead || index === undefined || !isWanted(event, filter)) continue
    const dead = [{ index, ...ERASED }]
    tx.trail.outcome({ batchId, delivered: [], dead, acknowledgedAtMs: nowMs })
  }
  return { ...NOTHING_ERASED, next: nextPosition(from, nextBucket, ERASED_IN) }
}

const ERASED = { status: 'erased', reason: 'erased', attempts: 0, history: [] } as const

function isMeant(json: string, ofAccount: string, { eventId, orderId, adAccountId }: Request): boolean {
  if (adAccountId !== undefined && adAccountId !== ofAccount) return false
  // Most are not meant: they are not parsed.
  if ([eventId, orderId].some((id) => id !== undefined && !json.includes(JSON.stringify(id)))) return false
  const event = readIdentity(json)
  return (eventId ?? event.eventId) === event.eventId && (orderId ?? event.orderId) === event.orderId
}
