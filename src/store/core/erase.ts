/**
 * Erases events by their ids, in bounded steps. Dead letters are looked at before the queue, since one may be replayed
 * meanwhile, and after it, since an event may die meanwhile; then the event trail is told. A payload keeps its
 * positions: `{}` stands where an erased event was. What is leased is only counted, since a call may be made of it.
 */
import { looksPersonal } from '../../events/personal-ids.ts'
import type { Sealer } from '../../vault/seal.ts'
import { EVENT_SEPARATOR, splitEvents } from '../payload.ts'
import type { DeadLetterQuery } from '../store.ts'
import type { Erased, EraseRequest } from '../trail.ts'
import { addPosition, makeBitmap } from './bitmap.ts'
import type { Changes } from './counters.ts'
import { findDeadLetters, removeDeadLetters } from './dead-letters.ts'
import { toQueue, type BatchRow, type DeadLetterRow } from './rows.ts'
import { bindBatch, openDeadLetter, openSealed, readIdentity } from './sealed.ts'
import { query, update, type Steps } from './sql.ts'
import { postsByBucket } from './trail-posts.ts'
import { searchTrailStep } from './trail-rows.ts'
import { TRAIL_STEP_ROWS, hintOf, isWanted, type TrailRow, type TrailStepRequest } from './trail-search.ts'
import type { Transaction } from './transaction.ts'
import type { TrailOutcome } from './trail.ts'

const TABLES = ['dead_letters', 'batches', 'died_meanwhile', 'trail'] as const

/** Where a step begins: at the batch after this one, the dead letter before it, or this bucket of the trail. */
export interface ErasePosition {
  readonly table: (typeof TABLES)[number]
  /** Undefined: at the table's beginning. */
  readonly at: number | undefined
}

export interface EraseStepRequest extends EraseRequest {
  readonly position: ErasePosition
}

export interface EraseStep extends Erased {
  readonly next: ErasePosition | undefined
}

const NOTHING_ERASED: Erased = { queued: 0, deadLetters: 0, leased: 0 }
/** Batches that one step opens. */
const ERASE_STEP_BATCHES = 32
const STEP_DEAD_LETTERS = TRAIL_STEP_ROWS

/** Steps are asked for until the last one. */
export async function eraseAll(
  request: EraseRequest,
  step: (request: EraseStepRequest) => Promise<EraseStep>,
): Promise<Erased> {
  const sum = { ...NOTHING_ERASED }
  for (
    let position: ErasePosition | undefined = { table: TABLES[0], at: undefined };
    position !== undefined;
  ) {
    const { next, ...erased }: EraseStep = await step({ ...request, position })
    for (const name of ['queued', 'deadLetters', 'leased'] as const) sum[name] += erased[name]
    position = next
  }
  return sum
}

export function* erase(tx: Transaction, request: EraseStepRequest): Steps<EraseStep> {
  const { table } = request.position
  if (table === 'batches') return yield* eraseBatches(tx, request)
  if (table === 'trail') return yield* eraseInTrail(tx, request)
  return yield* eraseDeadLetters(tx, request)
}

function* eraseBatches(tx: Transaction, request: EraseStepRequest): Steps<EraseStep> {
  const rows = yield* query<BatchRow & { readonly owner_id: number | null }>(
    `SELECT * FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT ${ERASE_STEP_BATCHES} FOR UPDATE`,
    [request.position.at ?? 0],
  )
  let [queued, leased] = [0, 0]
  const gone: number[] = []
  const kept: object[] = []
  for (const row of rows) {
    const { batch_id } = row
    const found = eraseFromBatch(row, request, tx.sealer)
    if (found === undefined) continue
    const { meantCount, erased, pendingCount, acknowledged, sealed, counts } = found
    if (row.owner_id !== null || tx.leases.isHeld(batch_id)) {
      leased += meantCount
      continue
    }
    if (pendingCount === 0) gone.push(batch_id)
    else kept.push({ batch_id, pending_count: pendingCount, acknowledged, sealed })
    tx.totals.count(toQueue(row), counts)
    tx.trail.outcome(outcomeOfErased(batch_id, erased, request.nowMs))
    queued += erased.length
  }
  if (gone.length > 0) yield* query('DELETE FROM batches WHERE batch_id = ANY($1)', [gone])
  yield* update('batches', 'batch_id', kept)
  const at = rows.length < ERASE_STEP_BATCHES ? undefined : rows.at(-1)!.batch_id
  return { ...NOTHING_ERASED, queued, leased, next: nextPosition(request.position, at) }
}

function* eraseDeadLetters(tx: Transaction, request: EraseStepRequest): Steps<EraseStep> {
  const { rows, beforeId } = yield* findDeadLetters(deadLettersOf(request), 'FOR UPDATE')
  const meant = rows.filter((row) => isDeadLetterMeant(row, request, tx.sealer))
  yield* removeDeadLetters(tx, meant)
  return { ...NOTHING_ERASED, deadLetters: meant.length, next: nextPosition(request.position, beforeId) }
}

function* eraseInTrail(tx: Transaction, request: EraseStepRequest): Steps<EraseStep> {
  const { rows, nextBucket } = yield* searchTrailStep(trailStepOf(request), tx.trail.rows())
  for (const outcome of erasedInTrail(rows, request)) tx.trail.outcome(outcome)
  return { ...NOTHING_ERASED, next: nextPosition(request.position, nextBucket) }
}

/** `at`: where the table goes on; undefined when it is done. */
function nextPosition({ table }: ErasePosition, at: number | undefined): ErasePosition | undefined {
  if (at !== undefined) return { table, at }
  const next = TABLES[TABLES.indexOf(table) + 1]
  return next && { table: next, at }
}

interface ErasedBatch {
  /** Those that are meant, delivered ones of a batch with others included. */
  readonly meantCount: number
  /** Positions that were pending. */
  readonly erased: readonly number[]
  /** None: the batch goes. */
  readonly pendingCount: number
  readonly acknowledged: Uint8Array
  readonly sealed: Uint8Array
  readonly counts: Changes
}

/** Undefined where nothing of the batch is meant. */
function eraseFromBatch(row: BatchRow, request: EraseRequest, sealer: Sealer): ErasedBatch | undefined {
  const queue = toQueue(row)
  const payload = openSealed(sealer, row.sealed, bindBatch(queue))
  if (payload === undefined) return undefined
  const events = splitEvents(payload)
  const meant = new Set(
    Array.from(events.keys()).filter((index) => isMeant(events[index]!, queue.adAccountId, request)),
  )
  if (meant.size === 0) return undefined
  const acknowledged =
    row.acknowledged === null ? makeBitmap(row.event_count) : Uint8Array.from(row.acknowledged)
  const erased = [...meant].filter((index) => addPosition(acknowledged, index))
  const pendingCount = row.pending_count - erased.length
  const kept = events.map((json, index) => (meant.has(index) ? '{}' : json))
  return {
    meantCount: meant.size,
    erased,
    pendingCount,
    acknowledged,
    sealed: sealer.seal(Buffer.from(kept.join(EVENT_SEPARATOR)), bindBatch(queue)),
    counts: {
      filtered: erased.length,
      queued: -erased.length,
      ...(pendingCount === 0 ? { batches: -1, bytes: -row.size_bytes } : {}),
    },
  }
}

/** Dead letters that may be meant. An id that may be personal has no column. */
function deadLettersOf(request: EraseStepRequest): DeadLetterQuery {
  const { adAccountId, eventId, orderId, position } = request
  return {
    limit: STEP_DEAD_LETTERS,
    ...(position.at === undefined ? {} : { beforeId: position.at }),
    ...(adAccountId === undefined ? {} : { adAccountId }),
    ...(eventId === undefined || looksPersonal(eventId) ? {} : { eventId }),
    ...(orderId === undefined || looksPersonal(orderId) ? {} : { orderId }),
  }
}

function isDeadLetterMeant(row: DeadLetterRow, request: EraseRequest, sealer: Sealer): boolean {
  const content = openDeadLetter(sealer, toQueue(row), row.sealed)
  return content !== undefined && isMeant(content.json, row.ad_account_id, request)
}

/** One bucket: it may hold 64,000 events with this id, where a shop gives all its orders the same. */
function trailStepOf(request: EraseStepRequest): TrailStepRequest {
  const fromBucket = request.position.at ?? Number.MAX_SAFE_INTEGER
  return { ...hintOf(request), fromBucket, sinceMs: 0, mostBuckets: 1 }
}

/** Of events that died before the erasure began, whose dead letters are gone now. */
function erasedInTrail(rows: readonly TrailRow[], request: EraseRequest): TrailOutcome[] {
  const { nowMs, ...filter } = request
  const died = [...postsByBucket(rows).values()]
    .flat()
    .flatMap((post) => post.events(request))
    .filter(
      (event) =>
        event.updatedAtMs <= nowMs &&
        ['rejected', 'expired'].includes(event.outcome) &&
        isWanted(event, filter),
    )
  return died.flatMap(({ batchId, index }) =>
    index === undefined ? [] : outcomeOfErased(batchId, [index], nowMs),
  )
}

function outcomeOfErased(batchId: number, positions: readonly number[], atMs: number): TrailOutcome {
  const erased = { status: 'erased', reason: 'erased', attempts: 0, history: [] } as const
  const dead = positions.map((index) => ({ index, ...erased }))
  return { batchId, atMs, call: undefined, failures: [], delivered: [], dead }
}

function isMeant(json: string, ofAccount: string, { eventId, orderId, adAccountId }: EraseRequest): boolean {
  if (adAccountId !== undefined && adAccountId !== ofAccount) return false
  // Most are not meant: they are not parsed.
  if ([eventId, orderId].some((id) => id !== undefined && !json.includes(JSON.stringify(id)))) return false
  const event = readIdentity(json)
  return (eventId ?? event.eventId) === event.eventId && (orderId ?? event.orderId) === event.orderId
}
