/**
 * Whose fault an error is, by https://www.postgresql.org/docs/current/errcodes-appendix.html. An error is the database's only
 * where a statement or a connection rejected with it (`ofDatabase`): all others, a TypeError of the relay's own code among
 * them, are the operation's, which would fail again.
 */
import pg from 'pg'
import { StoreUnavailable, codeOf } from '../../errors.ts'
import type { WriteProblem } from '../core/write-watch.ts'

/** It is unknown whether the transaction was committed, or whether the synchronous standby has it. */
export class CommitInDoubt extends Error {
  readonly code = 'COMMIT_IN_DOUBT'
}

const known = new WeakSet<Error>()

/** What this rejects with comes from the database, or from the way to it. */
export async function ofDatabase<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((error: unknown) => {
    // The driver cannot send such a value.
    if (error instanceof Error && !(error instanceof TypeError || error instanceof RangeError))
      known.add(error)
    throw error
  })
}

/** Where the server gave none, the connection is at fault; empty for an operation's own errors. */
function sqlStateOf(error: unknown): string {
  if (!(error instanceof Error && known.has(error))) return ''
  if (!(error instanceof pg.DatabaseError)) return CONNECTION_FAILURE
  return error.routine === STALE_PLAN_ROUTINE ? STATEMENT_UNKNOWN : codeOf(error)
}

const CONNECTION_FAILURE = '08000'
const STATEMENT_UNKNOWN = '26000'
/**
 * A plan is kept since before the type of a column changed: as if the session did not know the statement. Its own code says only that a
 * feature is not supported, and its text is in the server's language.
 */
const STALE_PLAN_ROUTINE = 'RevalidateCachedQuery'
const READ_ONLY = '25006'
const CLIENT_STOPPED = '25P03'
/**
 * A lock or a statement took too long. On a primary that was replaced, a commit that waits for its standby holds its
 * locks for ever; a transaction that waits for such a lock never reaches a commit in doubt.
 */
const TIMED_OUT = '55P03|57014'
/** A statement's name is unknown, or taken already: something on the way gave another session. A new one knows no statement. */
const BAD_SESSION = `${STATEMENT_UNKNOWN}|42P05`
const LOST = `08|57P|${CLIENT_STOPPED}|${READ_ONLY}|${TIMED_OUT}|${BAD_SESSION}`
const AT_PLACE = `08|28|3D|40|53|57|58|XX|25P02|${CLIENT_STOPPED}|${READ_ONLY}|${TIMED_OUT}|${BAD_SESSION}`
/** What the server lacks, what its system answers, and what the relay itself finds at the begin or the end of a transaction. */
const STUCK = `53|58|${READ_ONLY}|COMMIT_IN_DOUBT|STORE_CANNOT_OPEN`
const DISK_FULL = '53100'

const startsWith = (code: string, codes: string) => codes.split('|').some((start) => code.startsWith(start))

/** The server, the connection or another transaction is at fault: a retry may succeed. */
export const isPlaceAtFault = (error: unknown) => startsWith(sqlStateOf(error), AT_PLACE)

/** The connection has died or is in an unknown state, or its server takes no writes or gives no lock. */
export const isConnectionLost = (error: unknown) => startsWith(sqlStateOf(error), LOST)

export const isTimedOut = (error: unknown) => startsWith(sqlStateOf(error), TIMED_OUT)

/** A deadlock or a serialization failure. */
export const isConflict = (error: unknown) => sqlStateOf(error).startsWith('40')

/** Rejects with STORE_UNAVAILABLE where the place is at fault. */
export async function orUnavailable<Result>(asked: Promise<Result>): Promise<Result> {
  return asked.catch((error: unknown) => {
    throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
  })
}

/** The same functions, each rejecting as `orUnavailable` does. */
export function allOrUnavailable<Api extends object>(api: Api): Api {
  type Call = (...args: readonly unknown[]) => Promise<unknown>
  const calls = Object.entries(api).map(([name, call]: [string, Call]) => [
    name,
    (...args: readonly unknown[]) => orUnavailable(call(...args)),
  ])
  return Object.fromEntries(calls) as Api
}

/**
 * What a failure says of the next write (core/write-watch.ts): a server with a full disk, with an absent synchronous
 * standby, that has become read only or no longer syncs. Undefined where the next transaction may succeed, or where reads
 * show that the database is away.
 */
export function judgeFailure(error: unknown): WriteProblem | undefined {
  const code = codeOf(error)
  if (code === DISK_FULL) return 'full'
  return startsWith(code, STUCK) ? 'stuck' : undefined
}
