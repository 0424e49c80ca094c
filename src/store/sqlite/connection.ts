/**
 * Opens a SQLite file the one way that keeps the promises: WAL, every commit synced, nobody else in the file. It
 * looks at a file before it touches it, so that a store which must not be opened here is left exactly as it is.
 *
 * The lock is SQLite's own, on the file, and ends with the process. It ends early when this process opens and closes
 * the file by other means (a rule of POSIX locks): never read a store's file while it is open.
 */
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { StoreCannotOpen, StoreInUse, StoreTooNew, WrongMasterKey } from '../../errors.ts'

/** One version of a file's tables: `version` goes into the file's user_version. */
export interface Schema {
  readonly version: number
  readonly sql: string
}

export interface OpenFileOptions {
  readonly path: string
  readonly schema: Schema
  /** The file never grows past this: the last line of defence, behind the store's own watermark. */
  readonly limitBytes: number
}

/** Throws, before anything is touched, when the file is in use, too new, or fails `check`. */
export function inspectFile(path: string, schema: Schema, check: (db: DatabaseSync) => void): void {
  if (!existsSync(path)) return
  guardOpening(path, () => {
    using db = new DatabaseSync(path, { readOnly: true, timeout: 0 })
    const version = readVersion(db)
    if (version > schema.version) {
      throw new StoreTooNew(
        `The store ${path} has schema ${version}, this relay knows ${schema.version}: start a newer relay.`,
      )
    }
    if (version > 0) check(db)
  })
}

export function openFile({ path, schema, limitBytes }: OpenFileOptions): DatabaseSync {
  return guardOpening(path, () => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    makeEmptyFile(path)
    const db = new DatabaseSync(path, { timeout: 0 })
    try {
      setPragmas(db)
      makeTables(db, schema)
      // Only now is the page size settled.
      const pageBytes = readPragma(db, 'page_size')
      db.exec(`PRAGMA max_page_count = ${Math.max(1, Math.floor(limitBytes / Number(pageBytes)))}`)
      return db
    } catch (error) {
      db.close()
      throw error
    }
  })
}

/** Writes the whole WAL back into the file and lets the file go. */
export function closeFile(db: DatabaseSync): void {
  try {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
  } finally {
    db.close()
  }
}

/** A query whose rows are lists of its columns' values. */
export interface RowQuery<Row extends readonly unknown[]> {
  get(...values: SQLInputValue[]): Row | undefined
  all(...values: SQLInputValue[]): Row[]
  iterate(...values: SQLInputValue[]): Iterable<Row>
}

/**
 * Rows as arrays, which are made faster than objects. `Row` says what the query selects, in its order: SQLite's own
 * types know nothing of that, so it is said once, beside the query.
 */
export function prepareRows<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): RowQuery<Row> {
  const statement = db.prepare(sql)
  statement.setReturnArrays(true)
  return statement as unknown as RowQuery<Row>
}

export function isPlaceAtFault(error: unknown): boolean {
  return PLACE_ERRORS.has(resultCodeOf(error) ?? SQLITE_OK)
}

function resultCodeOf(error: unknown): number | undefined {
  return error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
}

// Primary result codes, https://www.sqlite.org/rescode.html
const SQLITE_OK = 0
const SQLITE_PERM = 3
const SQLITE_BUSY = 5
const SQLITE_NOMEM = 7
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

/** The disk, the file or the machine is at fault, not the statement. */
const PLACE_ERRORS: ReadonlySet<number> = new Set([
  SQLITE_PERM,
  SQLITE_BUSY,
  SQLITE_NOMEM,
  SQLITE_READONLY,
  SQLITE_IOERR,
  SQLITE_CORRUPT,
  SQLITE_FULL,
  SQLITE_CANTOPEN,
  SQLITE_NOTADB,
])

/**
 * Measured with one event per parcel, 100 commits at a time: a WAL of 4,000 pages (16 MB) makes a quarter more commits
 * per second than SQLite's 1,000, since a page that changed many times is written back once; 16,000 make a tenth more,
 * but take four times the disk, and a start after a crash has to read them. A cache over 32 MiB changed nothing that
 * could be told from noise.
 */
const WAL_PAGES = 4000
const CACHE_KIB = 32 * 1024
/** A WAL that one huge batch or a slow disk made larger shrinks to this again. */
const WAL_LIMIT_BYTES = 64 * 1024 * 1024

/** Already say what is wrong. */
const OPENING_ERRORS = [StoreTooNew, WrongMasterKey]

function setPragmas(db: DatabaseSync): void {
  // First of all: with it the WAL needs no shared memory, and the first read takes the lock for good.
  db.exec('PRAGMA locking_mode = EXCLUSIVE')
  db.exec('PRAGMA journal_mode = WAL')
  db.exec('PRAGMA synchronous = FULL')
  // macOS answers fsync before the disk has the bytes, unless asked like this.
  db.exec('PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON')
  db.exec(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}; PRAGMA cache_size = -${CACHE_KIB}`)
  db.exec(`PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`)
  db.exec('PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON')
  assertPragma(db, 'locking_mode', 'exclusive')
  assertPragma(db, 'journal_mode', 'wal')
  assertPragma(db, 'synchronous', 2)
}

/** SQLite ignores what it cannot do and says so only when asked. */
function assertPragma(db: DatabaseSync, name: string, wanted: string | number): void {
  const found = readPragma(db, name)
  if (found !== wanted) throw new Error(`PRAGMA ${name} is ${String(found)}, not ${wanted}`)
}

export function readPragma(db: DatabaseSync, name: string): unknown {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0]
}

function readVersion(db: DatabaseSync): number {
  return Number(readPragma(db, 'user_version'))
}

function makeTables(db: DatabaseSync, { version, sql }: Schema): void {
  if (readVersion(db) === version) return
  db.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${version}; COMMIT`)
}

/** SQLite gives its WAL the rights of the file; a file that is there is not opened here, for the lock's sake. */
function makeEmptyFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function guardOpening<T>(path: string, opening: () => T): T {
  try {
    return opening()
  } catch (error) {
    throw explain(path, error)
  }
}

function explain(path: string, error: unknown): unknown {
  if (OPENING_ERRORS.some((OpeningError) => error instanceof OpeningError)) return error
  if (resultCodeOf(error) === SQLITE_BUSY) {
    return new StoreInUse(`The store ${path} is in use by another process.`, { cause: error })
  }
  const reason = error instanceof Error ? error.message : String(error)
  const message = `The store ${path} cannot be opened for writing (${reason}); it was left as it is.`
  return new StoreCannotOpen(message, { cause: error })
}
