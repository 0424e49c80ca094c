/**
 * How much the queue may still take. It is asked for every batch that brings commits, so that no burst can pass the
 * watermark between two looks; what drains the queue is never asked.
 *
 * The watermark is a share of what the store may use: STORE_LIMIT_BYTES, or what the disk has for it (its own size and
 * what is free) if that is less. Not a share of the whole disk: a large one that others fill to 80 % still has room for
 * a queue.
 */
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import type { StoreSize } from '../store.ts'
import { freeBytes } from './ballast.ts'
import { prepareRows } from './connection.ts'

export interface Room {
  size(): StoreSize
  /** Takes what is asked for out of the room that is left; false when it would pass the watermark. */
  admits(bytes: number): boolean
  /** Looks again at the files: before each batch. */
  look(): void
}

/** Above it commits are refused, while there is still room to drain. */
const WATERMARK = 0.8
/** Once full it must fall to this, or every settlement would open the door for one post. */
const TAKEN_AGAIN = 0.75
/** What is committed lies in the WAL first, and in the file once that is written back. */
const DISK_COPIES = 2

export function createRoom(db: DatabaseSync, queuePath: string, limitBytes: number): Room {
  const pageCount = prepareRows<[number]>(db, 'PRAGMA page_count')
  const freeCount = prepareRows<[number]>(db, 'PRAGMA freelist_count')
  const [pageBytes] = prepareRows<[number]>(db, 'PRAGMA page_size').get()!
  let usedBytes = 0
  let diskFreeBytes = 0
  /** Since the last look. */
  let admittedBytes = 0
  let isFull = false

  /** Pages in use, and the WAL, which the disk has to hold as well. */
  function look(): void {
    const pages = pageCount.get()![0] - freeCount.get()![0]
    usedBytes = pages * pageBytes + (statSync(`${queuePath}-wal`, { throwIfNoEntry: false })?.size ?? 0)
    diskFreeBytes = freeBytes(dirname(queuePath))
    admittedBytes = 0
    if (isOver(isFull ? TAKEN_AGAIN : WATERMARK, 0)) isFull = true
    else isFull = false
  }

  function isOver(share: number, bytes: number): boolean {
    const addedBytes = admittedBytes + bytes
    if (usedBytes + addedBytes > share * limitBytes) return true
    return usedBytes + DISK_COPIES * addedBytes > share * (usedBytes + diskFreeBytes)
  }

  look()
  return {
    look,
    size() {
      look()
      return { usedBytes, diskFreeBytes, isFull }
    },
    admits(bytes) {
      if (isFull || isOver(WATERMARK, bytes)) {
        isFull = true
        return false
      }
      admittedBytes += bytes
      return true
    },
  }
}
