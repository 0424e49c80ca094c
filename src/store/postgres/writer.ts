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
 */
import { StoreUnavailable } from '../../errors.ts'
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
import { isConflict, isConnectionLost, isInDoubt } from './failures.ts'
import { uniqueQueues, type QueueRow } from '../core/rows.ts'
import { runChanges } from '../core/run-operations.ts'
import type { Steps } from '../core/sql.ts'
import { writeTotals } from '../core/totals.ts'
import type { TrailTail } from '../core/trail-tail.ts'
import type { TrailWriter } from '../core/trail.ts'
import type { Transaction } from '../core/transaction.ts'
import { SERVER_START, type Owner, type Registration } from './owner.ts'
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
  readonly own: Registration
  readonly commitNumber: number
  readonly outcomes: Outcomes
  readonly error: unknown
}

const CONFLICTS_BORNE = 5

/** Their statements are few and find rows by their keys alone. */
const OF_EVERY_POST: ReadonlySet<OperationKind> = new Set(['commit', 'acknowledge', 'release'])

/** This process was declared dead, the server has lost what this process committed last, or it has started since. */
class StampRefused extends Error {}

/** Runs one group at a time. Never rejects. */
export function createWriter(options: WriterOptions): BatcherOptions['run'] {
  const { pool, sealer, owner, trail, storeLimitBytes: limitBytes, onProblem: report } = options
  const parts = { sealer, trail: trail.writer, dedupe: createDedupe(), limitBytes, report }
  let doubt: Doubt | undefined
  let commitNumber = 0
  /** Of groups in doubt that were committed: what was done is not run again, whenever it is retried. */
  const known = new WeakMap<Operation, Outcome>()

  async function transact(operations: readonly Operation[], own: Registration): Promise<Outcomes> {
    commitNumber += 1
    let outcomes: Outcomes | undefined
    async function work(client: Queryable): Promise<Outcomes> {
      const batchIds = await stamp(client, own, commitNumber, idsFor(operations))
      trail.writer.open()
      trail.writer.touched.clear()
      const nextBatchId = () => batchIds.shift()!
      const tx = createTransaction({ ...parts, nextBatchId }, { id: own.id, ids: owner.ids }, commitNumber)
      const isKept = operations.every(({ kind }) => OF_EVERY_POST.has(kind))
      return (outcomes = await run(client, perform(tx, own.id, operations), isKept))
    }
    try {
      const done = await pool.transact(work)
      own.committed = commitNumber
      trail.tail.note(trail.writer.touched)
      return done
    } catch (error) {
      if (isInDoubt(error)) report({ problem: 'commit_in_doubt' })
      if (isConnectionLost(error) && outcomes !== undefined) {
        doubt = { own, commitNumber, outcomes, error }
      }
      throw error
    }
  }

  async function attempt(operations: readonly Operation[]): Promise<Outcomes> {
    for (let conflicts = 0; ; conflicts++) {
      const own = owner.registration
      try {
        return await transact(operations, own)
      } catch (error) {
        if (conflicts >= CONFLICTS_BORNE) throw error
        if (isConflict(error)) continue
        if (!(error instanceof StampRefused)) throw error
        // Over this pool: on an old primary, which lacks commits as well, the wait for its standby ends sooner.
        await owner.registerAgain(own, pool)
      }
    }
  }

  /** Together, or one by one when one of them is at fault. */
  async function runAll(operations: readonly Operation[]): Promise<Outcomes> {
    if (operations.length === 0) return new Map()
    try {
      return await attempt(operations)
    } catch (error) {
      if (error instanceof StoreUnavailable) return failAll(operations, 'unavailable', error)
      if (operations.length === 1) return failAll(operations, 'refused', error)
    }
    const outcomes: (readonly [Operation, Outcome])[] = []
    for (const operation of operations) {
      // A later transaction would overwrite the number by which a doubt is resolved.
      if (doubt === undefined) outcomes.push(...(await runAll([operation])))
    }
    return failAll(operations, 'unavailable', doubt?.error, new Map(outcomes))
  }

  return async (operations) => {
    const inDoubt = doubt
    if (inDoubt !== undefined) {
      try {
        if (await pool.transact((client) => wasCommitted(client, inDoubt))) {
          for (const [operation, outcome] of inDoubt.outcomes) known.set(operation, outcome)
          inDoubt.own.committed = inDoubt.commitNumber
        }
        doubt = undefined
      } catch (error) {
        return failAll(operations, 'unavailable', error)
      }
    }
    const outcomes = await runAll(operations.filter((one) => !known.has(one)))
    return new Map(operations.map((one) => [one, known.get(one) ?? outcomes.get(one)!]))
  }
}

function* perform(tx: Transaction, ownerId: number, operations: readonly Operation[]): Steps<Outcomes> {
  const answers = yield* runChanges(tx, operations)
  yield* tx.closeTrail()
  yield* writeTotals(tx.totals, ownerId)
  return new Map(operations.map((one) => [one, { status: 'done', answer: answers.get(one) }]))
}

/**
 * Waits for a replica that is declaring this owner dead. Returns `count` new ids of batches: with generate_series() the server would make
 * a new plan each time, since it estimates 1,000 rows for a count that it does not know.
 */
async function stamp(
  client: Queryable,
  { id, committed, serverStart }: Registration,
  commitNumber: number,
  count: number,
): Promise<number[]> {
  const places = packArray('boolean', Array<boolean>(count).fill(true), (one) => one)
  const { rows } = await client.query<{ ids: number[] }>(
    `UPDATE owners SET commit_number = $2, heartbeat_at = clock_timestamp()
     WHERE owner_id = $1 AND dead_at IS NULL AND commit_number = $4 AND ${SERVER_START} = $5
     RETURNING ARRAY(SELECT nextval('batch_ids')::float8 FROM unnest($3::boolean[])) AS ids`,
    [id, commitNumber, places, committed, serverStart],
    true,
  )
  if (rows[0] === undefined) throw new StampRefused()
  return rows[0].ids
}

function idsFor(operations: readonly Operation[]): number {
  return operations.reduce((sum, { kind, request }) => {
    if (kind === 'commit') return sum + 1
    return kind === 'replay' ? sum + (request as RequestOf<'replay'>).limit : sum
  }, 0)
}

/**
 * Resolves a doubt: batches that were committed without an answer wait, leased by nobody. The commit of this waits for the
 * standby, too: once confirmed, the commits before it are on the standby.
 */
async function wasCommitted(client: Queryable, { own, commitNumber }: Doubt): Promise<boolean> {
  const { rows } = await client.query<{ commit_number: number }>(
    'SELECT commit_number FROM owners WHERE owner_id = $1 FOR UPDATE',
    [own.id],
  )
  if (rows[0]?.commit_number !== commitNumber) return false
  const freed = await client.query<QueueRow>(
    `UPDATE batches SET owner_id = NULL, lease_number = NULL WHERE owner_id = $1 AND lease_number = $2
     RETURNING ad_account_id, is_test`,
    [own.id, commitNumber],
  )
  await run(client, publish(null, { kind: 'queues', queues: uniqueQueues(freed.rows) }))
  return true
}
