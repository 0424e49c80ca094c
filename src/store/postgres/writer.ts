/**
 * Runs each group of operations in one transaction, which one COMMIT syncs.
 *
 *   connected ──COMMIT answered──> done
 *       │  └──the connection dies before COMMIT is sent──> nothing was taken
 *       └─────it dies before COMMIT is answered──> in doubt ──connected again──┬─> was committed ─┬─> leases waiting again
 *                                                                            │                  └─> retried: done
 *                                                                            └─> was not: retried run again
 *
 * A COMMIT that PostgreSQL answers with a warning, since the wait for a standby was cancelled, is in doubt as well.
 * Whatever dies, commits answer STORE_UNAVAILABLE at once. Doubt is resolved by the owner's row, which every transaction
 * stamps with its number first: reading it under a lock waits for a transaction that the server still works on. A batch
 * of a commit in doubt is not deleted but waits for any replica: its sender got 503, but another post of the same event
 * may have been answered 202 meanwhile, as its duplicate. It will be sent; the sender's next try is a duplicate. What a
 * lease in doubt took waits again as well. So nothing is lost, and no owner keeps a batch that it does not know of.
 * When this process dies in doubt, its batches are taken over like all that it leased.
 *
 * Where a lock was waited for in vain, as of a row that an operator's open transaction has, the group runs again with care: outcomes of
 * batches that are locked are put off, and counters go to rows that nobody has yet. So it is waited for once, and posts are taken.
 */
import type { BatcherOptions } from '../engine/batcher.ts'
import type { StoreOptions } from '../engine/api.ts'
import {
  failAll,
  type Operation,
  type OperationKind,
  type Outcome,
  type Outcomes,
  type RequestOf,
} from '../engine/operations.ts'
import type { Sealer } from '../../vault/seal.ts'
import { packArray } from './arrays.ts'
import type { Pool, Queryable } from './connect.ts'
import { createDedupe } from './dedupe.ts'
import { CommitInDoubt, isConflict, isConnectionLost, isLockedOut, isPlaceAtFault } from './failures.ts'
import { uniqueQueues, type QueueRow } from '../core/rows.ts'
import { runChanges } from '../core/run-operations.ts'
import { query, type Steps } from '../core/sql.ts'
import { writeTotals } from '../core/totals.ts'
import type { TrailTail } from '../core/trail-tail.ts'
import type { TrailWriter } from '../core/trail.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Owner } from './owner.ts'
import { run } from './run.ts'
import { createTransaction, publish } from './transaction.ts'

export interface WriterOptions extends Pick<StoreOptions, 'storeLimitBytes' | 'onProblem'> {
  /** Of one connection. */
  readonly pool: Pool
  readonly sealer: Sealer
  readonly owner: Owner
  /** What a transaction says, and for those who follow the trail, what was committed last. */
  readonly trail: { readonly writer: TrailWriter; readonly tail: TrailTail }
}

interface Doubt {
  readonly ownerId: number
  readonly commitNumber: number
  readonly outcomes: Outcomes
  readonly error: unknown
}

const CONFLICTS_BORNE = 5

/** Their statements are few and find rows by their keys alone. */
const OF_EVERY_POST: ReadonlySet<OperationKind> = new Set([
  'commit',
  'acknowledge',
  'release',
  'countInvalid',
])
const isOfPost = ({ kind }: Operation) => OF_EVERY_POST.has(kind)

/** This process was declared dead, or the server has lost what this process committed last. */
class OwnerDead extends Error {}

/** Runs one group at a time. Never rejects. */
export function createWriter(options: WriterOptions): BatcherOptions['run'] {
  const { pool, sealer, owner, trail, storeLimitBytes: limitBytes, onProblem: report } = options
  const parts = { sealer, trail: trail.writer, dedupe: createDedupe(), limitBytes, report }
  let doubt: Doubt | undefined
  let commitNumber = 0
  /** By the last answer. A new owner's is 0. */
  let committed = { ownerId: 0, commitNumber: 0 }
  /** Of groups in doubt that were committed: what was done is not run again, whenever it is retried. */
  const known = new WeakMap<Operation, Outcome>()
  /** Why the next group is run with care. */
  let lockedOut: unknown
  /** Counters are in rows of the owner's number, or of that below zero. */
  let sign = 1

  const committedBy = (ownerId: number) => (committed.ownerId === ownerId ? committed.commitNumber : 0)

  async function transact(operations: readonly Operation[], ownerId: number): Promise<Outcomes> {
    commitNumber += 1
    let outcomes: Outcomes | undefined
    let isLocked = false
    async function work(client: Queryable): Promise<Outcomes> {
      const numbers = [committedBy(ownerId), commitNumber] as const
      const batchIds = await stamp(client, ownerId, numbers, idsFor(operations))
      trail.writer.open()
      trail.writer.touched.clear()
      const nextBatchId = () => batchIds.shift()!
      const tx = createTransaction({ ...parts, nextBatchId }, { id: ownerId, ids: owner.ids }, commitNumber)
      const locked = new Set(lockedOut === undefined ? [] : await run(client, findLocked(operations)))
      isLocked = locked.size > 0
      const free = operations.filter((one) => !isLocked || !batchesOf(one).some((id) => locked.has(id)))
      const done = await run(client, perform(tx, sign * ownerId, free), operations.every(isOfPost))
      return (outcomes = isLocked ? failAll(operations, 'unavailable', lockedOut, done) : done)
    }
    try {
      const done = await pool.transact(work)
      committed = { ownerId, commitNumber }
      trail.tail.note(trail.writer.touched)
      if (!isLocked) lockedOut = undefined
      return done
    } catch (error) {
      if (error instanceof CommitInDoubt) report({ problem: 'commit_in_doubt' })
      // One that a lock was not given to was rolled back.
      if (isConnectionLost(error) && !isLockedOut(error) && outcomes !== undefined) {
        doubt = { ownerId, commitNumber, outcomes, error }
      }
      throw error
    }
  }

  async function attempt(operations: readonly Operation[]): Promise<Outcomes> {
    for (let conflicts = 0; ; conflicts++) {
      const ownerId = owner.id
      try {
        return await transact(operations, ownerId)
      } catch (error) {
        if (conflicts >= CONFLICTS_BORNE) throw error
        if (!(error instanceof OwnerDead || isConflict(error))) throw error
        if (isConflict(error)) continue
        // Over this pool: on an old primary, which lacks commits as well, the wait for its standby ends sooner.
        const found = await owner.registerAgain(ownerId, { by: pool, committed: committedBy(ownerId) })
        if (found === 'commits_lost') report({ problem: 'commits_lost' })
      }
    }
  }

  /** Together, or one by one when one of them is at fault. */
  async function runAll(operations: readonly Operation[]): Promise<Outcomes> {
    try {
      return await attempt(operations)
    } catch (error) {
      if (isLockedOut(error)) {
        const isFirst = lockedOut === undefined
        lockedOut = error
        sign = -sign
        if (isFirst && operations.some(isOfPost)) return runInTurns(apart(operations))
      }
      if (isPlaceAtFault(error)) return failAll(operations, 'unavailable', error)
      if (operations.length === 1) return failAll(operations, 'refused', error)
    }
    return runInTurns(operations.map((one) => [one]))
  }

  async function runInTurns(groups: readonly (readonly Operation[])[]): Promise<Outcomes> {
    const outcomes: (readonly [Operation, Outcome])[] = []
    for (const group of groups) {
      // A later transaction would overwrite the number by which a doubt is resolved.
      outcomes.push(
        ...(doubt === undefined ? await runAll(group) : failAll(group, 'unavailable', doubt.error)),
      )
    }
    return new Map(outcomes)
  }

  return async (operations) => {
    const inDoubt = doubt
    if (inDoubt !== undefined) {
      try {
        const isCommitted = await pool.transact((client) => wasCommitted(client, inDoubt))
        doubt = undefined
        if (isCommitted) committed = inDoubt
        for (const [operation, outcome] of isCommitted ? inDoubt.outcomes : [])
          if (outcome.status === 'done') known.set(operation, outcome)
      } catch (error) {
        return failAll(operations, 'unavailable', error)
      }
    }
    const fresh = operations.filter((one) => !known.has(one))
    const outcomes = await runInTurns(lockedOut === undefined && fresh.length > 0 ? [fresh] : apart(fresh))
    return new Map(operations.map((one) => [one, known.get(one) ?? outcomes.get(one)!]))
  }
}

function* perform(tx: Transaction, ownerId: number, operations: readonly Operation[]): Steps<Outcomes> {
  const answers = yield* runChanges(tx, operations)
  yield* tx.closeTrail()
  yield* writeTotals(tx.totals, ownerId)
  return new Map(operations.map((one) => [one, { status: 'done', answer: answers.get(one) }]))
}

/** What is not of every post may wait for other locks: each alone, after the others. */
function apart(operations: readonly Operation[]): Operation[][] {
  const others = operations.filter((one) => !isOfPost(one)).map((one) => [one])
  return [operations.filter(isOfPost), ...others].filter((group) => group.length > 0)
}

/** Batches whose rows the operation changes, without having chosen those that nobody has locked. */
function batchesOf({ kind, request }: Operation): number[] {
  if (kind !== 'acknowledge' && kind !== 'release') return []
  return (request as RequestOf<'acknowledge' | 'release'>).map(({ batchId }) => batchId)
}

function* findLocked(operations: readonly Operation[]): Steps<number[]> {
  const rows = yield* query<{ batch_id: number }>(
    `SELECT batch_id FROM batches WHERE batch_id = ANY($1) AND batch_id NOT IN (
       SELECT batch_id FROM batches WHERE batch_id = ANY($1) FOR UPDATE SKIP LOCKED)`,
    [operations.flatMap(batchesOf)],
  )
  return rows.map((row) => row.batch_id)
}

/**
 * Waits for a replica that is declaring this owner dead. Returns `count` new ids of batches: with generate_series() the server would make
 * a new plan each time, since it estimates 1,000 rows for a count that it does not know.
 */
async function stamp(
  client: Queryable,
  ownerId: number,
  [before, commitNumber]: readonly [number, number],
  count: number,
): Promise<number[]> {
  const { rows } = await client.query<{ ids: number[] }>(
    `UPDATE owners SET commit_number = $2, heartbeat_at = clock_timestamp() WHERE owner_id = $1 AND dead_at IS NULL AND commit_number = $4
     RETURNING ARRAY(SELECT nextval('batch_ids')::float8 FROM unnest($3::boolean[])) AS ids`,
    [ownerId, commitNumber, packArray('boolean', Array<boolean>(count).fill(true), (one) => one), before],
    true,
  )
  if (rows[0] === undefined) throw new OwnerDead()
  return rows[0].ids
}

function idsFor(operations: readonly Operation[]): number {
  return operations.reduce((sum, { kind, request }) => {
    if (kind === 'commit' || kind === 'countInvalid') return sum + 1
    return kind === 'replay' ? sum + (request as RequestOf<'replay'>).limit : sum
  }, 0)
}

/**
 * Resolves a doubt: batches that were committed without an answer wait, leased by nobody. The commit of this waits for the
 * standby, too: once confirmed, the commits before it are on the standby.
 */
async function wasCommitted(client: Queryable, { ownerId, commitNumber }: Doubt): Promise<boolean> {
  const { rows } = await client.query<{ commit_number: number }>(
    'SELECT commit_number FROM owners WHERE owner_id = $1 FOR UPDATE',
    [ownerId],
  )
  if (rows[0]?.commit_number !== commitNumber) return false
  const freed = await client.query<QueueRow>(
    `UPDATE batches SET owner_id = NULL, lease_number = NULL WHERE owner_id = $1 AND lease_number = $2
     RETURNING ad_account_id, is_test`,
    [ownerId, commitNumber],
  )
  await run(client, publish(null, { kind: 'queues', queues: uniqueQueues(freed.rows) }))
  return true
}
