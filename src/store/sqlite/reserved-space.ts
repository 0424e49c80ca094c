/**
 * A file that reserves space. On a full disk no outcome could be written and no space be freed: then this file is truncated,
 * and made again once there is plenty.
 *
 * Its bytes are random, so that no file system compresses them. They are not synced: a file that a crash left too short is made
 * again.
 */
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { makeFolder } from '../../vault/master-key.ts'

export type ReservedSpace = ReturnType<typeof createReservedSpace>

/** No more of the disk than this is reserved. */
const DISK_SHARE = 1 / 16
const CHUNK_BYTES = 1024 * 1024
/** This many times its size must be free before it is made again. */
const PLENTY = 3
/** For a start: the shared memory and the empty WAL of both files. */
const START_BYTES = 256 * 1024

/** Makes the folder. `reservedBytes`: less on a small disk. */
export function createReservedSpace(path: string, reservedBytes: number) {
  makeFolder(dirname(path))
  const { blocks, bsize } = statfsSync(dirname(path))
  const sizeBytes = Math.min(reservedBytes, Math.floor(blocks * bsize * DISK_SHARE))
  let isThere = sizeOf(path) >= sizeBytes

  function make(): void {
    const file = openSync(path, 'a', 0o600)
    try {
      const chunk = randomBytes(Math.min(CHUNK_BYTES, sizeBytes))
      for (let left = sizeBytes - sizeOf(path); left > 0;)
        left -= writeSync(file, chunk, 0, Math.min(left, chunk.length))
    } finally {
      closeSync(file)
    }
  }

  /** Except for what the next start needs before it can drain. */
  const giveBack = () => shrink(path, Math.min(START_BYTES, sizeBytes / 2))

  return {
    /** The WAL is bounded below it, since it has to find room when it is written back. */
    sizeBytes,
    /** Answers whether there was anything to give up. */
    giveUp(): boolean {
      isThere = false
      return giveBack()
    },
    /** Makes it again if there is plenty of room; does nothing when it is there. */
    keep(): void {
      if (isThere || freeBytes(dirname(path)) < PLENTY * sizeBytes) return
      try {
        make()
        isThere = true
      } catch {
        // Others may have taken the space: it is retried.
        giveBack()
      }
    },
  }
}

/** Answers whether it was larger. */
export function shrink(path: string, toBytes: number): boolean {
  if (sizeOf(path) <= toBytes) return false
  truncateSync(path, toBytes)
  return true
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

export function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
