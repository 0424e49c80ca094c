/**
 * Refuses commits without room before they run. What they add is counted until the size is read again, so that no burst passes the
 * watermark; nothing is refused by an old reading.
 *
 * The watermark is a part of what the store may use: STORE_LIMIT_BYTES, or what the disk has for it (its own size and
 * what is free) if that is less. Not a part of the whole disk: a large disk that others fill to 80 % has room for a
 * queue. Dead letters and the event trail have parts of their own and are not counted.
 */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StoreUnavailable } from '../../errors.ts'
import { createCapacity, DEAD_LETTER_PART, WATERMARK } from '../core/capacity.ts'
import { TRAIL_PART } from '../core/trail.ts'
import {
  failAll,
  type Operation,
  type Outcomes,
  type QueueSize,
  type RecoverRequest,
} from '../engine/operations.ts'
import type { NewBatch } from '../store.ts'
import { PAGE_BYTES, shrinkWal } from './connection.ts'
import { StoreDamaged } from './failures.ts'
import { BATCH_BYTES, EVENT_BYTES, type QueueTables } from './queue-tables.ts'
import { freeBytes } from './reserved-space.ts'
import type { RunOperations } from './writer.ts'

/** In the WAL first, then in the file. */
const DISK_COPIES = 2
/** A reading takes up to 100 µs where posts come one at a time. */
const MEASURE_EVERY_MS = 100

export function createCapacityCheck(
  { db, totals, limits }: QueueTables,
  queuePath: string,
  limitBytes: number,
) {
  // Not as tables, which SQLite would prepare anew each time.
  const selectPages = db.prepare('PRAGMA page_count')
  const selectFreePages = db.prepare('PRAGMA freelist_count')
  let usedBytes = 0
  let walBytes = 0
  let diskFreeBytes = 0
  /** Without what has a part of its own. */
  let takenBytes = 0
  let measuredMs = -Infinity
  const capacity = createCapacity((part) => {
    const leftOfDisk = (part * (usedBytes + diskFreeBytes) - takenBytes) / DISK_COPIES
    return Math.min(part * limitBytes - takenBytes, leftOfDisk)
  })

  /** Not in a transaction, which would keep the WAL as it is. */
  function measure(): void {
    readSizes()
    // The WAL keeps the most that it had, a quarter of a small store: that alone must not refuse posts. A full disk drains with it.
    const isFullForWal = takenBytes > WATERMARK * limitBytes && diskFreeBytes > 2 * walBytes
    if (isFullForWal && walBytes > 0) {
      shrinkWal(db)
      readSizes()
    }
    measuredMs = performance.now()
    capacity.refresh()
    const mayUse = Math.min(limitBytes, usedBytes + diskFreeBytes)
    limits.deadLetterBytes = DEAD_LETTER_PART * mayUse
    limits.trailBytes = TRAIL_PART * mayUse
  }

  /** Pages in use, and the WAL, which the disk has to hold as well. */
  function readSizes(): void {
    const pages = Number(selectPages.get()!['page_count'])
    const free = Number(selectFreePages.get()!['freelist_count'])
    // SQLite trusts its header: a flipped bit in this count would make the store full for ever.
    if (free < 0 || free >= pages) throw new StoreDamaged('more pages are free than there are')
    walBytes = statSync(`${queuePath}-wal`, { throwIfNoEntry: false })?.size ?? 0
    usedBytes = (pages - free) * PAGE_BYTES + walBytes
    diskFreeBytes = freeBytes(dirname(queuePath))
    const { deadLetterBytes, trailBytes } = totals.sizes()
    takenBytes = Math.max(0, usedBytes - deadLetterBytes - trailBytes)
  }

  function admits({ kind, request }: Operation): boolean {
    if (kind === 'recover') {
      const { batches } = request as RecoverRequest
      const batchBytes = batches.reduce((sum, { batch }) => sum + bytesOfCommit(batch), 0)
      // Of several accounts, none of which is asked for its share. Dead letters have their own part.
      return capacity.admits(batchBytes, 0)
    }
    if (kind !== 'commit') return true
    const commit = request as NewBatch
    const bytes = bytesOfCommit(commit)
    // Usually the whole queue is within one account's share: then no account is read. Without the group's own events.
    return capacity.admits(bytes, usedBytes) || capacity.admits(bytes, totals.queuedBytes(commit.adAccountId))
  }

  measure()
  return {
    /** As measured before the transaction that asks for it. */
    size(): QueueSize {
      const { isFull } = capacity
      const share = capacity.share()
      const overShare = usedBytes <= share ? [] : totals.accountsAbove(share)
      return { ...totals.sizes(), usedBytes, diskFreeBytes, isFull, overShare }
    },
    /** Refuses what there is no room for, and runs the rest. */
    run(operations: readonly Operation[], run: RunOperations): Outcomes {
      let admitted = operations.filter(admits)
      const isOld = capacity.isOutdated || performance.now() >= measuredMs + MEASURE_EVERY_MS
      if (isOld || admitted.length < operations.length || operations.some(({ kind }) => kind === 'size')) {
        measure()
        admitted = operations.filter(admits)
      }
      const outcomes = run(admitted)
      return outcomes.size === operations.length
        ? outcomes
        : failAll(operations, 'unavailable', new StoreUnavailable(), outcomes)
    },
  }
}

function bytesOfCommit({ payload, events }: NewBatch): number {
  const { byteLength } = payload
  // What does not fit into a row goes to pages of its own, of which the last is rarely full.
  const payloadBytes =
    byteLength < PAGE_BYTES / 2 ? byteLength : Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES
  return payloadBytes + BATCH_BYTES + EVENT_BYTES * events.length
}
