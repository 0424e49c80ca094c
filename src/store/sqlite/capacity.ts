/**
 * How much the queue may still take. It is asked for every group that brings commits, so that no burst can pass the
 * watermark between two looks; what drains the queue is never asked.
 *
 * The watermark is a part of what the store may use: STORE_LIMIT_BYTES, or what the disk has for it (its own size and
 * what is free) if that is less. Not a part of the whole disk: a large one that others fill to 80 % still has room for
 * a queue. Dead letters have a part of their own and are not counted. How much of the room an account may take:
 * core/share.ts.
 */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DEAD_LETTER_PART, mayQueue, shareOf, TAKEN_AGAIN, WATERMARK } from '../core/share.ts'
import { freeBytes } from './reserved-space.ts'
import { prepare, readPragma } from './connection.ts'
import { StoreDamaged } from './failures.ts'
import type { QueueSize } from '../engine/protocol.ts'
import type { QueueTables } from './queue-tables.ts'

export interface Capacity {
  size(): QueueSize
  /**
   * Takes what is asked for out of the room that is left; false when it would pass the watermark, or the account's
   * share. Undefined: of several accounts, which an operator answers for.
   */
  admits(bytes: number, adAccountId: string | undefined): boolean
  /** Looks again at the files: before each group. */
  look(): void
}

/** What is committed lies in the WAL first, and in the file once that is written back. */
const DISK_COPIES = 2

export function createCapacity(
  { db, totals, deadLetters }: QueueTables,
  queuePath: string,
  limitBytes: number,
): Capacity {
  const pageBytes = Number(readPragma(db, 'page_size'))
  const selectPages = prepare<{ pages: number; free: number }>(
    db,
    'SELECT page_count AS pages, freelist_count AS free FROM pragma_page_count, pragma_freelist_count',
  )
  let usedBytes = 0
  let diskFreeBytes = 0
  /** Since the last look. */
  let admittedBytes = 0
  /** As of the last look, of accounts that had to be looked up. */
  const queuedOf = new Map<string, number>()
  let isFull = false

  /** Pages in use, and the WAL, which the disk has to hold as well. */
  function look(): void {
    const { pages, free } = selectPages.get()!
    // SQLite believes its header: a flipped bit in this count would make the store look full for good.
    if (free < 0 || free >= pages) throw new StoreDamaged('more pages are free than there are')
    usedBytes =
      (pages - free) * pageBytes + (statSync(`${queuePath}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    diskFreeBytes = freeBytes(dirname(queuePath))
    admittedBytes = 0
    queuedOf.clear()
    isFull = leftBelow(isFull ? TAKEN_AGAIN : WATERMARK) < 0
    deadLetters.keepBelow(DEAD_LETTER_PART * Math.min(limitBytes, usedBytes + diskFreeBytes))
  }

  /** What commits may still bring. */
  function leftBelow(part: number): number {
    const takenBytes = Math.max(0, usedBytes - totals.sizes().deadBytes)
    const leftOfLimit = part * limitBytes - takenBytes
    const leftOfDisk = (part * (usedBytes + diskFreeBytes) - takenBytes) / DISK_COPIES
    return Math.min(leftOfLimit, leftOfDisk) - admittedBytes
  }

  /**
   * Nearly always the whole queue is less than one account may have: then none has to be looked up.
   * What this group brings of the account itself is small beside that.
   */
  function isWithinShare(adAccountId: string, bytes: number): boolean {
    const leftBytes = leftBelow(WATERMARK)
    if (mayQueue(usedBytes + admittedBytes, bytes, leftBytes)) return true
    const queued = queuedOf.get(adAccountId) ?? totals.queuedBytes(adAccountId)
    queuedOf.set(adAccountId, queued)
    return mayQueue(queued, bytes, leftBytes)
  }

  function accountsOverShare(): string[] {
    const share = shareOf(leftBelow(WATERMARK))
    if (isFull || usedBytes <= share) return []
    totals.flush()
    return totals.accountsAbove(share)
  }

  look()
  return {
    look,
    size() {
      look()
      const { bytes: queuedBytes, deadBytes: deadLetterBytes } = totals.sizes()
      const overShare = accountsOverShare()
      return { usedBytes, queuedBytes, deadLetterBytes, diskFreeBytes, isFull, overShare }
    },
    admits(bytes, adAccountId) {
      if (isFull) return false
      const isTaken =
        adAccountId === undefined ? bytes <= leftBelow(WATERMARK) : isWithinShare(adAccountId, bytes)
      if (!isTaken) return false
      admittedBytes += bytes
      return true
    },
  }
}
