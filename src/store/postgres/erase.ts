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
import { findDeadLetters, removeDeadLetters } from './dead-letters.ts'
import { searchStep } from './trail.ts'
import type { Transaction } from './transaction.ts'

export function erase(tx: Transaction, request: EraseStepRequest): Promise<EraseStep> {
  return ERASERS[request.position.table](tx, request)
}

const ERASERS = {
  dead_letters: eraseDeadLetters,
  batches: eraseBatches,
  died_meanwhile: eraseDeadLetters,
  trail: eraseInTrail,
}

async function eraseBatches(tx: Transaction, request: EraseStepRequest): Promise<EraseStep> {
  const { rows } = await tx.client.query<BatchRow & { readonly owner_id: number | null }>(
    `SELECT * FROM batches WHERE batch_id > $1 ORDER BY batch_id LIMIT ${ERASE_STEP_BATCHES} FOR UPDATE`,
    [request.position.at ?? 0],
  )
  let [queued, leased] = [0, 0]
  for (const row of rows) {
    const found = eraseFromBatch(row, request, tx.sealer)
    if (found === undefined) continue
    const { meantCount, erased, pendingCount, acknowledged, sealed, counts } = found
    if (row.owner_id !== null) {
      leased += meantCount
      continue
    }
    if (pendingCount === 0) await tx.client.query('DELETE FROM batches WHERE batch_id = $1', [row.batch_id])
    else
      await tx.client.query(
        'UPDATE batches SET pending_count = $2, acknowledged = $3, sealed = $4 WHERE batch_id = $1',
        [row.batch_id, pendingCount, acknowledged, sealed],
      )
    tx.totals.count(toQueue(row), counts)
    tx.trail.outcome(outcomeOfErased(row.batch_id, erased, request.nowMs))
    queued += erased.length
  }
  const at = rows.length < ERASE_STEP_BATCHES ? undefined : rows.at(-1)!.batch_id
  return { ...NOTHING_ERASED, queued, leased, next: nextPosition(request.position, at) }
}

async function eraseDeadLetters(tx: Transaction, request: EraseStepRequest): Promise<EraseStep> {
  const { rows, beforeId } = await findDeadLetters(tx.client, deadLettersOf(request), 'FOR UPDATE')
  const meant = rows.filter((row) => isDeadLetterMeant(row, request, tx.sealer))
  await removeDeadLetters(tx, meant)
  const next = nextPosition(request.position, beforeId)
  return { ...NOTHING_ERASED, deadLetters: meant.length, next }
}

async function eraseInTrail(tx: Transaction, request: EraseStepRequest): Promise<EraseStep> {
  const { rows, nextBucket } = await searchStep(tx.client, trailStepOf(request))
  for (const outcome of erasedInTrail(rows, request)) tx.trail.outcome(outcome)
  const next = nextPosition(request.position, nextBucket)
  return { ...NOTHING_ERASED, next }
}
