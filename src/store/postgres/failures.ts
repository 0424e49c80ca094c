/**
 * Whose fault an error is, by https://www.postgresql.org/docs/current/errcodes-appendix.html. Where it is the database's, or that of the
 * way to it, the statement or the connection rejects with STORE_UNAVAILABLE (`ofDatabase`): a retry may succeed. All other errors, a
 * TypeError of the relay's own code among them, are the operation's, which would fail again.
 */
import pg from 'pg'
import { StoreUnavailable, codeOf } from '../../errors.ts'
import type { WriteProblem } from '../core/write-watch.ts'

/** It is unknown whether the transaction was committed, or whether the synchronous standby has it. */
export class CommitInDoubt extends Error {
  readonly code = 'COMMIT_IN_DOUBT'
}

/** Rejects with STORE_UNAVAILABLE where the server, the connection or another transaction is at fault. */
export async function ofDatabase<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((cause: unknown) => {
    // Of the relay: the driver cannot send such a value.
    if (cause instanceof TypeError || cause instanceof RangeError) throw cause
    const isPlaceAtFault = !(cause instanceof pg.DatabaseError) || startsWith(sqlStateOf(cause), AT_PLACE)
    throw isPlaceAtFault ? new StoreUnavailable({ cause }) : cause
  })
}

/** What the database or the driver said. */
export const causeOf = (error: unknown) => (error instanceof StoreUnavailable ? error.cause : error)

/** Where the server gave none, the connection is at fault; empty for an operation's own errors. */
function sqlStateOf(error: unknown): string {
  const cause = causeOf(error)
  if (!(cause instanceof pg.DatabaseError)) return cause === error ? '' : CONNECTION_FAILURE
  return cause.routine === STALE_PLAN_ROUTINE ? STATEMENT_UNKNOWN : codeOf(cause)
}

const CONNECTION_FAILURE = '08000'
const STATEMENT_UNKNOWN = '26000'
/**
 * A plan is kept since before the type of a column changed: as if the session did not know the statement. Its own code says only that a
 * feature is not supported, and its text is in the server's language.
 */
const STALE_PLAN_ROUTINE = 'RevalidateCachedQuery'
const READ_ONLY = '25006'
/** The time limit of a client that stops, and that of a whole transaction. */
const TOO_LONG = '25P03|25P04'
/**
 * A lock or a statement took too long. On a primary that was replaced, a commit that waits for its standby holds its
 * locks for ever; a transaction that waits for such a lock never reaches a commit in doubt.
 */
const TIMED_OUT = '55P03|57014'
/** A statement's name is unknown, or taken already: something on the way gave another session. A new one knows no statement. */
const BAD_SESSION = `${STATEMENT_UNKNOWN}|42P05`
const LOST = `08|57P|${TOO_LONG}|${READ_ONLY}|${TIMED_OUT}|${BAD_SESSION}`
const AT_PLACE = `08|28|3D|40|53|57|58|XX|25P02|${TOO_LONG}|${READ_ONLY}|${TIMED_OUT}|${BAD_SESSION}`
/** What the server lacks, what its system answers, and what the relay itself finds at the begin or the end of a transaction. */
const STUCK = `53|58|${READ_ONLY}|COMMIT_IN_DOUBT|STORE_CANNOT_OPEN`
const DISK_FULL = '53100'

const startsWith = (code: string, codes: string) => codes.split('|').some((start) => code.startsWith(start))

/** The connection has died or is in an unknown state, or its server takes no writes or gives no lock. */
export const isConnectionLost = (error: unknown) => startsWith(sqlStateOf(error), LOST)

export const isTimedOut = (error: unknown) => startsWith(sqlStateOf(error), TIMED_OUT)

export const isInDoubt = (error: unknown) => causeOf(error) instanceof CommitInDoubt

/** A deadlock or a serialization failure. */
export const isConflict = (error: unknown) => sqlStateOf(error).startsWith('40')

/**
 * What a failure says of the next write (core/write-watch.ts): a server with a full disk, with an absent synchronous
 * standby, that has become read only or no longer syncs. Undefined where the next transaction may succeed, or where reads
 * show that the database is away.
 */
export function judgeFailure(error: unknown): WriteProblem | undefined {
  const code = codeOf(causeOf(error))
  if (code === DISK_FULL) return 'full'
  return startsWith(code, STUCK) ? 'stuck' : undefined
}
