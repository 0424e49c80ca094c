/**
 * Runs groups of operations on a connection of its own, each in one transaction: all of a group is synced by one COMMIT.
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
 * of a commit in doubt is not deleted but waits for anybody: its sender was told 503, but another post of the same event
 * may have been answered 202 meanwhile, as its duplicate. It will be sent; the sender's next try is a duplicate. What a
 * lease in doubt took waits again as well. So nothing is lost, and no owner keeps a batch that it does not know of.
 * When this process dies in doubt, its batches are taken over like all that it leased.
 */
import type { Operation, Outcome, StoreProblem } from '../engine/operations.ts'
import { toTravelError } from '../engine/operations.ts'
import type { Sealer } from '../../vault/seal.ts'
import { createBatchIds } from './batches.ts'
import { assertDurable, CommitInDoubt, type ConnectionOptions } from './client.ts'
import {
  connect,
  drop,
  endQuietly,
  isConflict,
  isConnectionLost,
  isPlaceAtFault,
  isTimedOut,
  type Client,
} from './connect.ts'
import { tellFeed } from './transaction.ts'
import { uniqueQueues, type QueueRow } from '../core/rows.ts'
import { runOperations } from './run-operations.ts'
import { writeTrail, type TrailParts } from './trail.ts'
import type { Owner } from './owner.ts'
import { createTotalCounts } from './totals.ts'
import type { Transaction } from './transaction.ts'

export interface WriterOptions {
  readonly connection: ConnectionOptions
  readonly sealer: Sealer
  readonly owner: Owner
  readonly trail: TrailParts
  readonly limitBytes: number
  readonly report: (problem: StoreProblem) => void
}

export interface Writer {
  /** One group at a time. Never rejects. */
  run(operations: readonly Operation[]): Promise<Outcome[]>
  close(): Promise<void>
}

type Outcomes = ReadonlyMap<Operation, Outcome>

interface Doubt {
  readonly ownerId: number
  readonly commitNumber: number
  readonly outcomes: Outcomes
}

const CONFLICTS_BORNE = 5
/** After a failed connection, posts are refused at once for so long. */
const REST_MS = 250

class OwnerDead extends Error {
  readonly ownerId: number
  constructor(ownerId: number) {
    super('This owner was declared dead.')
    this.ownerId = ownerId
  }
}

export function createWriter(options: WriterOptions): Writer {
  const { connection, sealer, owner, trail, limitBytes, report } = options
  const batchIds = createBatchIds()
  const parts = { sealer, trail: trail.writer, limitBytes, report, nextBatchId: () => batchIds.next() }
  let client: Client | undefined
  let doubt: Doubt | undefined
  let commitNumber = 0
  let lastFailureMs = -Infinity
  /** Of a group in doubt that was committed: what is asked again was done. */
  let known: Outcomes = new Map()

  async function ready(): Promise<Client> {
    if (client === undefined) {
      if (performance.now() - lastFailureMs < REST_MS) throw new Error('The database cannot be reached.')
      try {
        client = await connectDurable(connection)
      } catch (error) {
        lastFailureMs = performance.now()
        connection.onFailure?.(error)
        throw error
      }
    }
    if (doubt !== undefined) {
      if (await wasCommitted(client, doubt)) known = doubt.outcomes
      doubt = undefined
    }
    return client
  }

  function forget(): void {
    if (client !== undefined) drop(client)
    client = undefined
    batchIds.forget()
  }

  async function transact(using: Client, operations: readonly Operation[]): Promise<Outcomes> {
    commitNumber += 1
    const ownerId = owner.id
    let commitSent: Outcomes | undefined
    try {
      await using.begin()
      await batchIds.reserve(using, operations)
      await stamp(using, ownerId, commitNumber)
      const totals = createTotalCounts()
      trail.writer.clear()
      const tx: Transaction = { ...parts, client: using, totals, ownerId, ownerIds: owner.ids, commitNumber }
      const outcomes = await runOperations(tx, operations)
      await writeTrail(tx)
      await totals.write(using, ownerId)
      commitSent = outcomes
      await using.commit()
      trail.tail.note(trail.writer.touched)
      return outcomes
    } catch (error) {
      connection.onFailure?.(error)
      if (error instanceof CommitInDoubt) report({ problem: 'commit_in_doubt' })
      if (isTimedOut(error)) using.passOver()
      if (isConnectionLost(error) && !(error instanceof OwnerDead)) {
        if (commitSent !== undefined) doubt = { ownerId, commitNumber, outcomes: commitSent }
        forget()
      } else await using.query('ROLLBACK').catch(forget)
      throw error
    }
  }

  async function attempt(operations: readonly Operation[]): Promise<Outcomes> {
    const using = await ready()
    for (let conflicts = 0; ; conflicts++) {
      try {
        return await transact(using, operations)
      } catch (error) {
        if (conflicts >= CONFLICTS_BORNE) throw error
        if (error instanceof OwnerDead) await owner.registerAgain(error.ownerId)
        else if (!isConflict(error)) throw error
      }
    }
  }

  /** Together, or one by one when one of them is at fault. */
  async function runAll(operations: readonly Operation[]): Promise<Outcomes> {
    if (operations.length === 0) return new Map()
    try {
      return await attempt(operations)
    } catch (error) {
      if (isPlaceAtFault(error)) return allOf(operations, 'unavailable', error)
      if (operations.length === 1) return allOf(operations, 'refused', error)
    }
    const outcomes = new Map<Operation, Outcome>()
    for (const operation of operations) {
      for (const [, outcome] of await runAll([operation])) outcomes.set(operation, outcome)
    }
    return outcomes
  }

  return {
    async run(operations) {
      if (doubt !== undefined) {
        try {
          await ready()
        } catch (error) {
          connection.onFailure?.(error)
          // A transaction may be open on it.
          forget()
          return [...allOf(operations, 'unavailable', error).values()]
        }
      }
      const told = known
      known = new Map()
      const fresh = await runAll(operations.filter((operation) => !told.has(operation)))
      return operations.map((operation) => told.get(operation) ?? fresh.get(operation)!)
    },
    async close() {
      if (client !== undefined) await endQuietly(client)
    },
  }
}

async function connectDurable(connection: ConnectionOptions): Promise<Client> {
  const client = await connect(connection)
  try {
    await client.begin()
    await assertDurable(client, connection)
    await client.commit()
    return client
  } catch (error) {
    drop(client)
    throw error
  }
}

/** Also waits for whoever is just declaring this owner dead. */
async function stamp(client: Client, ownerId: number, commitNumber: number): Promise<void> {
  const { rowCount } = await client.query(
    `UPDATE owners SET commit_number = $2, heartbeat_at = clock_timestamp() WHERE owner_id = $1 AND dead_at IS NULL`,
    [ownerId, commitNumber],
  )
  if (rowCount === 0) throw new OwnerDead(ownerId)
}

/** Resolves a doubt: batches that were committed without an answer wait, leased by nobody. */
async function wasCommitted(client: Client, { ownerId, commitNumber }: Doubt): Promise<boolean> {
  await client.begin()
  const { rows } = await client.query<{ commit_number: number }>(
    'SELECT commit_number FROM owners WHERE owner_id = $1 FOR UPDATE',
    [ownerId],
  )
  const isCommitted = rows[0]?.commit_number === commitNumber
  if (isCommitted) {
    const freed = await client.query<QueueRow>(
      `UPDATE batches SET owner_id = NULL, lease_number = NULL WHERE owner_id = $1 AND lease_number = $2
       RETURNING ad_account_id, is_test`,
      [ownerId, commitNumber],
    )
    await tellFeed(client, null, { kind: 'queues', queues: uniqueQueues(freed.rows) })
  }
  // This commit waits for the standby, too: once confirmed, the commits before it are on the standby.
  await client.commit()
  return isCommitted
}

function allOf(
  operations: readonly Operation[],
  status: 'unavailable' | 'refused',
  error: unknown,
): Map<Operation, Outcome> {
  return new Map(operations.map((operation) => [operation, { status, error: toTravelError(error) }]))
}
