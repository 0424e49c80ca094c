/** Makes dead letters of live events that grew too old while their batches waited. The holder of a leased batch checks its age itself. */
import type { Sealer } from '../../vault/seal.ts'
import { splitEvents } from '../payload.ts'
import type { DeadEvent, ExpireRequest, ExpireStep } from '../store.ts'
import { acknowledgeAll } from './acknowledge.ts'
import { openBatch } from './lease.ts'
import { toQueue, type BatchRow } from './rows.ts'
import { readIdentity } from './sealed.ts'
import { query, update, type Steps } from './sql.ts'
import type { Transaction } from './transaction.ts'

/** A step ends after so many events, even when they are those of a few batches: some 20 ms. */
const EXPIRE_STEP_EVENTS = 1000

/** Of every event that expires, here or in delivery, which checks what it has leased. */
export const TOO_OLD = {
  reason: 'too_old',
  message: 'The event grew too old before Pinterest took it.',
} as const

/** A full step may expire nothing: of some batches the oldest events have their outcome already. */
export function* expire(tx: Transaction, request: ExpireRequest): Steps<ExpireStep> {
  const { oldestEventTimeS, limit } = request
  const waiting = yield* tx.leases.olderThan(oldestEventTimeS, limit)
  let events = 0
  const chosen = waiting.filter((row) => {
    if (events >= EXPIRE_STEP_EVENTS) return false
    events += row.pending_count
    return true
  })
  const rows = yield* query<BatchRow>(
    'SELECT * FROM batches WHERE batch_id = ANY($1) ORDER BY oldest_event_time_s, batch_id',
    [chosen.map((row) => row.batch_id)],
  )
  const read = rows.flatMap((row) => expireBatch(row, request, tx.sealer) ?? [])
  const acknowledgements = read.map((batch) => batch.acknowledgement)
  yield* acknowledgeAll(tx, acknowledgements)
  yield* update(
    'batches',
    'batch_id',
    read.flatMap(({ acknowledgement: { batchId }, oldestS }) =>
      oldestS === undefined ? [] : [{ batch_id: batchId, oldest_event_time_s: oldestS }],
    ),
  )
  // The others stay in the store, marked as leased. So is what a damaged index alone still has: later steps pass it over.
  const readIds = new Set(acknowledgements.map(({ batchId }) => batchId))
  const taken = chosen.map((row) => row.batch_id).filter((batchId) => !readIds.has(batchId))
  for (const row of yield* tx.leases.take(taken))
    tx.report({ problem: 'batch_unreadable', queue: toQueue(row), batchId: row.batch_id })
  const expired = acknowledgements.reduce((sum, { dead }) => sum + dead.length, 0)
  // Young ones, which a damaged index has as old, would be found again and again.
  const isFoundAgain = taken.length === 0 && rows.every((row) => row.oldest_event_time_s >= oldestEventTimeS)
  const hasMore = chosen.length < waiting.length || waiting.length === limit
  return { expired, hasMore: hasMore && !isFoundAgain }
}

/**
 * Undefined when the batch cannot be read, or has other events than its row counts. `oldestS`: of what is left of it; undefined when
 * nothing is.
 */
export function expireBatch(row: BatchRow, { oldestEventTimeS, nowMs }: ExpireRequest, sealer: Sealer) {
  const batch = openBatch(row, sealer)
  const timesS = batch && readTimes(batch.payload)
  if (timesS === undefined) return undefined
  const gone = new Set(batch!.acknowledged)
  const pending = Array.from(timesS.keys()).filter((index) => index < row.event_count && !gone.has(index))
  // A damaged row: its events would expire at every step.
  if (pending.length === 0 || pending.length !== row.pending_count) return undefined
  const why = {
    status: 'expired' as const,
    ...TOO_OLD,
    attempts: row.attempts,
    history: [...batch!.history, { atMs: nowMs, reason: TOO_OLD.reason }],
  }
  const dead: DeadEvent[] = pending
    .filter((index) => timesS[index]! < oldestEventTimeS)
    .map((index) => ({ index, ...why }))
  const keptTimesS = pending.map((index) => timesS[index]!).filter((timeS) => timeS >= oldestEventTimeS)
  return {
    acknowledgement: { batchId: row.batch_id, delivered: [], dead, acknowledgedAtMs: nowMs },
    oldestS: keptTimesS.length === 0 ? undefined : Math.min(...keptTimesS),
  }
}

/** Where there is none it is 0: such an event expires, and is not read at every step. */
function readTimes(payload: Uint8Array): number[] | undefined {
  try {
    return splitEvents(payload).map((json) => readIdentity(json).eventTimeS)
  } catch {
    return undefined
  }
}
