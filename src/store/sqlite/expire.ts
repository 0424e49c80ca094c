/**
 * Makes dead letters of live events that grew too old while their batches waited, oldest first over all queues. Leased
 * batches are their holder's: it looks at their age itself.
 */
import TinyQueue from 'tinyqueue'
import { EXPIRE_STEP_EVENTS, judgeAge, type WaitingBatch } from '../expiry.ts'
import { bindBatch } from '../dead-letter.ts'
import type { ExpireRequest } from '../store.ts'
import { listPositions } from '../bitmap.ts'
import { prepareRows } from './connection.ts'
import type { Place } from './leases.ts'
import type { ExpireStep } from '../engine/protocol.ts'
import type { QueueTables } from './queue-tables.ts'
import type { Acknowledgements } from './acknowledge.ts'

/** A waiting batch with an event that may be too old. */
type Candidate = Place & WaitingBatch

type QueueRow = [
  batchId: number,
  oldestEventTimeS: number,
  eventCount: number,
  acknowledged: Uint8Array | null,
  attempts: number,
  history: string | null,
]

export function createExpiry(
  tables: QueueTables,
  acknowledgements: Acknowledgements,
): (request: ExpireRequest) => ExpireStep {
  const { db, queues, leases, sealer, report } = tables
  const selectNext = prepareRows<QueueRow>(
    db,
    `SELECT batch_id, oldest_event_time_s, event_count, acknowledged, attempts, history FROM batches
     WHERE queue_id = ? AND is_replay = ? AND (oldest_event_time_s, batch_id) > (?, ?) AND oldest_event_time_s < ?
     ORDER BY oldest_event_time_s, batch_id LIMIT 1`,
  )
  const selectSealed = prepareRows<[sealed: Uint8Array]>(db, 'SELECT sealed FROM payloads WHERE batch_id = ?')
  const moveRow = db.prepare(
    `UPDATE batches SET oldest_event_time_s = ?
     WHERE queue_id = ? AND is_replay = ? AND oldest_event_time_s = ? AND batch_id = ?`,
  )
  const movePayload = db.prepare('UPDATE payloads SET oldest_event_time_s = ? WHERE batch_id = ?')

  /** The first one of its line behind this place that nobody holds. */
  function findNext(
    { queueId, isReplay }: Pick<Place, 'queueId' | 'isReplay'>,
    oldestEventTimeS: number,
    after = { oldestEventTimeS: Number.MIN_SAFE_INTEGER, batchId: 0 },
  ): Candidate | undefined {
    for (let { oldestEventTimeS: timeS, batchId } = after; ;) {
      const row = selectNext.get(queueId, Number(isReplay), timeS, batchId, oldestEventTimeS)
      if (row === undefined) return undefined
      ;[batchId, timeS] = row
      if (leases.isHeld(batchId)) continue
      const [, , eventCount, acknowledged, attempts, history] = row
      const positions = acknowledged === null ? [] : listPositions(acknowledged)
      const place = { queueId, isReplay, oldestEventTimeS: timeS }
      return { ...place, batchId, eventCount, acknowledged: positions, attempts, history }
    }
  }

  /** Of all queues, the oldest first. */
  function* walk(oldestEventTimeS: number): Generator<Candidate> {
    queues.flush()
    const heads = new TinyQueue<Candidate>(
      [],
      (a, b) => a.oldestEventTimeS - b.oldestEventTimeS || a.batchId - b.batchId,
    )
    for (const queueId of queues.liveQueueIds()) {
      for (const isReplay of [false, true]) {
        const head = findNext({ queueId, isReplay }, oldestEventTimeS)
        if (head !== undefined) heads.push(head)
      }
    }
    for (let head = heads.pop(); head !== undefined; head = heads.pop()) {
      const next = findNext(head, oldestEventTimeS, head)
      if (next !== undefined) heads.push(next)
      yield head
    }
  }

  /** Answers how many events of it expired. */
  function expireOne(candidate: Candidate, request: ExpireRequest): number {
    const { batchId, queueId, isReplay, oldestEventTimeS, attempts, history } = candidate
    const queue = queues.keyOf(queueId)
    const outcome = judgeAge(
      candidate,
      () => sealer.open(selectSealed.get(batchId)![0], bindBatch(queue.adAccountId)),
      request,
    )
    if (outcome === undefined) {
      // Left in the store but out of the way, as where it is leased.
      leases.take(batchId, { ...candidate, attempts, history })
      report({ problem: 'batch_unreadable', queue, batchId })
      return 0
    }
    const { acknowledgement, oldestS } = outcome
    acknowledgements.acknowledge({
      wholeBatchIds: [],
      acknowledgedAtMs: request.nowMs,
      others: [acknowledgement],
    })
    if (oldestS !== undefined) {
      moveRow.run(oldestS, queueId, Number(isReplay), oldestEventTimeS, batchId)
      movePayload.run(oldestS, batchId)
    }
    return acknowledgement.dead.length
  }

  return function expire(request) {
    let expired = 0
    let dedupe = 0
    for (const candidate of walk(request.oldestEventTimeS)) {
      if (dedupe === request.limit || expired >= EXPIRE_STEP_EVENTS) return { expired, hasMore: true }
      dedupe += 1
      expired += expireOne(candidate, request)
    }
    return { expired, hasMore: false }
  }
}
