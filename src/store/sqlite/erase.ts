/** Erases events by their ids, one bounded step per transaction (core/erase.ts). */
import {
  deadLettersOf,
  ERASE_STEP_BATCHES,
  erasedInTrail,
  eraseFromBatch,
  isDeadLetterMeant,
  nextPosition,
  NOTHING_ERASED,
  outcomeOfErased,
  trailStepOf,
  type EraseStep,
  type EraseStepRequest,
} from '../core/erase.ts'
import { toQueue, type BatchRow } from '../core/rows.ts'
import { prepare } from './connection.ts'
import type { QueueTables } from './queue-tables.ts'

export function createErase(tables: QueueTables): (request: EraseStepRequest) => EraseStep {
  const { db, totals, leases, deadLetters, trail, sealer } = tables
  const selectNext = prepare<BatchRow>(
    db,
    `SELECT * FROM batches WHERE batch_id > ? ORDER BY batch_id LIMIT ${ERASE_STEP_BATCHES}`,
  )
  const remove = db.prepare('DELETE FROM batches WHERE batch_id = ?')
  const update = db.prepare(
    'UPDATE batches SET pending_count = ?2, acknowledged = ?3, sealed = ?4 WHERE batch_id = ?1',
  )

  function eraseBatches(request: EraseStepRequest): EraseStep {
    const rows = selectNext.all(request.position.at ?? 0)
    let [queued, leased] = [0, 0]
    for (const row of rows) {
      const { batch_id: batchId } = row
      const found = eraseFromBatch(row, request, sealer)
      if (found === undefined) continue
      const { meantCount, erased, pendingCount, acknowledged, sealed, counts } = found
      if (leases.isHeld(batchId)) {
        leased += meantCount
        continue
      }
      if (pendingCount === 0) remove.run(batchId)
      else update.run(batchId, pendingCount, acknowledged, sealed)
      totals.count(toQueue(row), counts)
      trail.outcome(outcomeOfErased(batchId, erased, request.nowMs))
      queued += erased.length
    }
    const at = rows.length < ERASE_STEP_BATCHES ? undefined : rows.at(-1)!.batch_id
    return { ...NOTHING_ERASED, queued, leased, next: nextPosition(request.position, at) }
  }

  function eraseDeadLetters(request: EraseStepRequest): EraseStep {
    const { rows, beforeId } = deadLetters.find(deadLettersOf(request))
    const meant = rows.filter((row) => isDeadLetterMeant(row, request, sealer))
    for (const row of meant) deadLetters.remove(row)
    const next = nextPosition(request.position, beforeId)
    return { ...NOTHING_ERASED, deadLetters: meant.length, next }
  }

  function eraseInTrail(request: EraseStepRequest): EraseStep {
    const { rows, nextBucket } = trail.search(trailStepOf(request))
    for (const outcome of erasedInTrail(rows, request)) trail.outcome(outcome)
    const next = nextPosition(request.position, nextBucket)
    return { ...NOTHING_ERASED, next }
  }

  const erasers = {
    dead_letters: eraseDeadLetters,
    batches: eraseBatches,
    died_meanwhile: eraseDeadLetters,
    trail: eraseInTrail,
  }
  return (request) => erasers[request.position.table](request)
}
