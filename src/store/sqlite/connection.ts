/**
 * Opens a SQLite file durably: WAL, every commit synced, locked. It inspects a file before it
 * changes it, so that a store which must not be opened is left exactly as it is.
 *
 * The lock is SQLite's own, on the file, and ends with the process. It ends early when this process opens and closes
 * the file by other means (a rule of POSIX locks): never read a store's file while it is open.
 */
import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { StoreCannotOpen, StoreTooNew, codeOf } from '../../errors.ts'
import type { Sealer } from '../../vault/seal.ts'
import { assertCheckOpens, readKeyChecks } from '../core/reseal.ts'
import {
  explainOpenError,
  isDamage,
  isHalfBegun,
  isNoSpace,
  StoreDamaged,
  translateOpenErrors,
} from './failures.ts'
import { hasContent } from './quarantine.ts'
import { createRunner } from './run.ts'

/** SQLite's own; nothing sets another size. */
export const PAGE_BYTES = 4096

/** The tables of a file. */
export interface Schema {
  /** Of these tables; goes into the file's user_version, which is 0 for a file that was never begun. */
  readonly version: number
  readonly tables: string
}

export interface OpenFileOptions {
  readonly path: string
  readonly schema: Schema
  /** The file never grows past this, which is well above the store's watermark. */
  readonly limitBytes: number
  /** Its WAL is written back when it has grown to this. */
  readonly walBytes?: number
  /** Called for a damaged file before it is closed, since closing deletes its WAL. */
  readonly onDamage?: () => void
}

/**
 * Throws, before anything is touched, when the file is in use, too new, too old or damaged, or has the check of a master key that the
 * sealer does not have. Reads the `whole` file, or its head. Answers whether there is a store in it: false when there is no file,
 * or one that was never begun.
 */
export function inspectFile(path: string, schema: Schema, sealer: Sealer, part: 'whole' | 'head'): boolean {
  // SQLite would delete the WAL beside an empty file.
  if (!hasContent(path)) return false
  return translateOpenErrors(path, () => {
    using db = new DatabaseSync(path, { readOnly: true, timeout: 0 })
    const version = readVersion(db)
    if (version > schema.version && version <= LAST_VERSION) {
      throw new StoreTooNew(
        `The store ${path} has schema ${version}, this relay knows ${schema.version}: start a newer relay.`,
      )
    }
    if (version > LAST_VERSION || version < 0) throw new StoreDamaged(`schema ${version} was never made`)
    if (version === 0) return false
    if (version < schema.version) {
      throw new StoreCannotOpen(
        `The store ${path} was made before 0.1.0, with other tables (schema ${version}): begin with a new one.`,
      )
    }
    assertKeysOpen(db, sealer)
    if (part === 'whole') assertSound(db)
    return true
  })
}

function assertKeysOpen(db: DatabaseSync, sealer: Sealer): void {
  for (const { key_id: keyId, sealed } of createRunner(db)(readKeyChecks())) {
    try {
      assertCheckOpens(sealed, sealer)
    } catch (error) {
      if (!sealer.keyIds.includes(keyId)) throw error
      throw new StoreDamaged('the check of the master key was changed', { cause: error })
    }
  }
}

/** `begin` is the last step of opening: the file is closed when it throws. */
export function openFile<Begun>(options: OpenFileOptions, begin: (db: DatabaseSync) => Begun): Begun {
  const { path, schema, limitBytes, walBytes = WAL_BYTES, onDamage } = options
  return translateOpenErrors(path, () => {
    makeEmptyFile(path)
    const db = new DatabaseSync(path, { timeout: 0 })
    try {
      setPragmas(db)
      makeTables(db, schema)
      db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(limitBytes / PAGE_BYTES))}`)
      db.exec(`PRAGMA wal_autocheckpoint = ${Math.max(1, Math.floor(walBytes / PAGE_BYTES))}`)
      db.exec(`PRAGMA journal_size_limit = ${Math.floor(WAL_GROWTH * walBytes)}`)
      return begin(db)
    } catch (error) {
      const explained = explainOpenError(path, error)
      if (isDamage(explained)) onDamage?.()
      closeQuietly(db)
      throw explained
    }
  })
}

/** The first error is reported, not that of the closing. */
export function closeQuietly(db: DatabaseSync): void {
  try {
    db.close()
  } catch {
    // A damaged file may fail here, too.
  }
}

/** Writes the WAL back and closes the file. */
export function closeFile(db: DatabaseSync): void {
  try {
    shrinkWal(db)
  } finally {
    db.close()
  }
}

/** On a full disk the WAL stays, and nothing is lost. */
export function shrinkWal(db: DatabaseSync): void {
  try {
    writeBackWal(db)
  } catch (error) {
    if (!isNoSpace(error)) throw error
  }
}

/** The WAL is empty afterwards, and its space free. */
export function writeBackWal(db: DatabaseSync): void {
  db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
}

/** A larger number has a flipped bit. */
const LAST_VERSION = 255

/**
 * Measured with one event per batch, 100 commits at a time: a WAL of 4,000 pages (16 MB) makes a quarter more commits
 * per second than SQLite's 1,000, since a page that changed many times is written back once; 16,000 make a tenth more,
 * but take four times the disk, and a start after a crash has to read them. Caches of 8 and
 * 32 MiB made no difference with a million events waiting and as many seen.
 */
export const WAL_BYTES = 4000 * PAGE_BYTES
const CACHE_KIB = 8 * 1024
/** Where one huge group or a slow disk made the WAL larger than this many times its size, it shrinks to that again. */
const WAL_GROWTH = 4

function setPragmas(db: DatabaseSync): void {
  // First: then the WAL needs no shared memory, and the first read takes the lock until the file is closed.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  // On macOS a plain fsync returns before the disk has the bytes.
  db.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON')
  db.exec(`PRAGMA cache_size = -${CACHE_KIB}`)
  db.exec('PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON')
  assertPragma(db, 'locking_mode', 'exclusive')
  assertPragma(db, 'journal_mode', 'wal')
  assertPragma(db, 'synchronous', 2)
}

/** SQLite ignores a pragma that it cannot apply; reading it back shows that. */
function assertPragma(db: DatabaseSync, name: string, wanted: string | number): void {
  const found = readPragma(db, name)
  if (found !== wanted) throw new Error(`PRAGMA ${name} is ${String(found)}, not ${wanted}`)
}

export function readPragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
}

/** Reads the whole file, except for the contents of its indexes. */
export function assertSound(db: DatabaseSync): void {
  const found = readPragma(db, 'quick_check(1)')
  if (found !== 'ok') throw new StoreDamaged(String(found))
}

function readVersion(db: DatabaseSync): number {
  try {
    return Number(readPragma(db, 'user_version'))
  } catch (error) {
    if (isHalfBegun(error)) return 0
    throw error
  }
}

/** In one transaction: a file has all of the tables, or none. */
export function makeTables(db: DatabaseSync, { version, tables }: Schema): void {
  if (readVersion(db) > 0) return
  db.exec(`BEGIN IMMEDIATE; ${tables}; PRAGMA user_version = ${version}; COMMIT`)
}

/** SQLite gives its WAL the permissions of the file. An existing file is not opened here, which could end its lock. */
function makeEmptyFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
}
