/** What SQLite's errors mean: the operation, the place or the file's content is at fault; and the messages for a failed start. */
import { accessSync, constants } from 'node:fs'
import { dirname } from 'node:path'
import { isOfTable, StoreCannotOpen, StoreInUse } from '../../errors.ts'

export function isPlaceAtFault(error: unknown): boolean {
  return PLACE_ERRORS.has(primaryCodeOf(error)) || isDamage(error)
}

/** What the file says of itself cannot be true. */
export class StoreDamaged extends Error {}

/** The file's content is at fault, not its disk or its rights: those can be repaired without a change of the content. */
export function isDamage(error: unknown): boolean {
  if (error instanceof StoreDamaged) return true
  if (error instanceof StoreCannotOpen) return isDamage(error.cause)
  // A number that JavaScript cannot hold was never written by the relay.
  if (error instanceof RangeError && error.message.startsWith('Value is too large')) return true
  return [resultCodeOf(error), primaryCodeOf(error)].some((code) => DAMAGE_ERRORS.has(code))
}

/** The disk, or the file within its limit, has no room, and says so. */
export function isFull(error: unknown): boolean {
  if (error instanceof Error && 'code' in error && NO_SPACE_CODES.has(String(error.code))) return true
  return primaryCodeOf(error) === SQLITE_FULL
}

/** A write found no room. A quota has no code of its own: its error is that of a failed write, as with a failing disk. */
export function isNoSpace(error: unknown): boolean {
  if (error instanceof StoreCannotOpen) return isNoSpace(error.cause)
  return isFull(error) || NO_SPACE_IOERRS.has(resultCodeOf(error))
}

/** The process that began the file died meanwhile: whoever opens it for writing rolls that back. Later a file has a WAL instead. */
export function isHalfBegun(error: unknown): boolean {
  return resultCodeOf(error) === SQLITE_READONLY_ROLLBACK
}

/** The whole one; its last byte is the primary one, which says less. */
function resultCodeOf(error: unknown): number {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) : SQLITE_OK
}

const primaryCodeOf = (error: unknown) => resultCodeOf(error) & 0xff

/** https://www.sqlite.org/rescode.html */
const SQLITE_OK = 0
const SQLITE_ERROR = 1
const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_FULL = 13
const SQLITE_READONLY_ROLLBACK = 776
const CONTENT = { CORRUPT: 11, NOTADB: 26 }
const CONTENT_READ = { IOERR_SHORT_READ: 522, IOERR_DATA: 8202, IOERR_CORRUPTFS: 8458 }
const TWICE = { CONSTRAINT_PRIMARYKEY: 1555, CONSTRAINT_UNIQUE: 2067, CONSTRAINT_ROWID: 2579 }
const PLACE = { PERM: 3, NOMEM: 7, IOERR: 10, CANTOPEN: 14, ...CONTENT }
/** Writing, or making the memory that is shared beside the file. */
const NO_SPACE = { IOERR_WRITE: 778, IOERR_SHMOPEN: 4618, IOERR_SHMSIZE: 4874, IOERR_SHMMAP: 5386 }

/** The store makes each key itself and only where none is: one that is there twice means rows that disagree. */
const DAMAGE_ERRORS = new Set(Object.values({ ...CONTENT, ...CONTENT_READ, ...TWICE }))
const NO_SPACE_IOERRS = new Set(Object.values(NO_SPACE))
const NO_SPACE_CODES: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT'])
/** The disk, the file or the machine is at fault, not the statement. */
const PLACE_ERRORS = new Set([...Object.values(PLACE), SQLITE_BUSY, SQLITE_READONLY, SQLITE_FULL])

export function translateOpenErrors<T>(path: string, opening: () => T): T {
  try {
    return opening()
  } catch (error) {
    throw explainOpenError(path, error)
  }
}

/** The error to show for a failed open; of damage, `isDamage` says so. */
export const explainOpenError = (path: string, error: unknown) => explain(path, doubt(path, error))

/**
 * During open, SQLITE_ERROR and SQLITE_READONLY can mean a corrupt file: the statements are always the same, and whether the file
 * may be written can be asked.
 */
function doubt(path: string, error: unknown): unknown {
  const code = primaryCodeOf(error)
  const isImpossible = code === SQLITE_ERROR || (code === SQLITE_READONLY && mayWrite(path))
  return isImpossible ? new StoreDamaged((error as Error).message, { cause: error }) : error
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    accessSync(dirname(path), constants.W_OK)
    return true
  } catch {
    return false
  }
}

function explain(path: string, error: unknown): unknown {
  if (isOfTable(error)) return error
  if (primaryCodeOf(error) === SQLITE_BUSY) {
    return new StoreInUse(`The store ${path} is in use by another process.`, { cause: error })
  }
  if (isNoSpace(error)) {
    const message = `There is no space left on the disk of the store ${path}: free some and start again; nothing was lost.`
    return new StoreCannotOpen(message, { cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  if (isDamage(error)) {
    const message = `The store ${path} is damaged (${reason}); it was left as it is. Put a copy of it back.`
    return new StoreCannotOpen(message, { cause: error })
  }
  const message = `The store ${path} cannot be opened for writing (${reason}); it was left as it is.`
  return new StoreCannotOpen(message, { cause: error })
}
