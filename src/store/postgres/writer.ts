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
 * Whatever dies, commits answer STORE_UNAVAILABLE at once. Doubt is acknowledged by the owner's row, which every transaction
 * stamps with its number first: reading it under a lock waits for a transaction that the server still works on. A batch
 * of a commit in doubt is not deleted but waits for anybody: its sender was told 503, but another post of the same event
 * may have been answered 202 meanwhile, as its duplicate. It will be sent; the sender's next try is a duplicate. What a
 * lease in doubt took waits again as well. So nothing is lost, and nothing stays with an owner who does not know of it.
 * When this process dies in doubt, its batches are taken over like all that it leased.
 */
import type {
  AnswerOf,
  BoundedTrimRequest,
  CommitRequest,
  Operation,
  OperationKind,
  Outcome,
  ReleaseRequest,
} from '../engine/protocol.ts'
import { toTravelError } from '../engine/protocol.ts'
import type {
  ExpireRequest,
  QueueKey,
  LeaseRequest,
  PurgeRequest,
  ReplayRequest,
  AuditEntry,
} from '../store.ts'
import type {
  TrimDedupeRequest,
  ResealRequest,
  AcknowledgeRequest,
  StoreProblem,
} from '../engine/protocol.ts'
import type { Sealer } from '../../vault/seal.ts'
import { addAudit } from './audit.ts'
import { createTotalCounts } from './totals.ts'
import { commitAll } from './commit.ts'
import {
  assertDurable,
  CommitInDoubt,
  connect,
  drop,
  endQuietly,
  isConflict,
  isConnectionLost,
  isPlaceAtFault,
  type Client,
  type ConnectionOptions,
} from './connect.ts'
import { expire } from './expire.ts'
import { tellFeed } from './feed-rows.ts'
import { reseal } from './keys.ts'
import { lease } from './lease.ts'
import { purge, replay } from './dead-letters.ts'
import { uniqueQueues, type QueueRow } from './queue-rows.ts'
import type { Owner } from './owner.ts'
import { phasesOf } from './phases.ts'
import { trimDedupeStep } from './dedupe.ts'
import { releaseAll, acknowledgeAll } from './acknowledge.ts'
import type { Transaction } from './transaction.ts'
import { trim } from './trim.ts'

export interface WriterOptions {
  readonly connection: ConnectionOptions
  readonly sealer: Sealer
  readonly owner: Owner
  readonly report: (problem: StoreProblem) => void
}

export interface Writer {
  /** One group at a time. Never rejects. */
  run(operations: readonly Operation[]): Promise<Outcome[]>
  close(): Promise<void>
}

interface Doubt {
  readonly ownerId: number
  readonly commitNumber: number
  readonly outcomes: ReadonlyMap<Operation, Outcome>
}

/** Ids that one look at the sequence brings. */
const BLOCK_IDS = 1024
const CONFLICTS_BORNE = 5
/** A server that just could not be reached is not asked again for every post. */
const REST_MS = 250

class OwnerDead extends Error {
  readonly ownerId: number
  constructor(ownerId: number) {
    super('This owner was declared dead.')
    this.ownerId = ownerId
  }
}

export function createWriter({ connection, sealer, owner, report }: WriterOptions): Writer {
  let client: Client | undefined
  let doubt: Doubt | undefined
  let commitNumber = 0
  let lastFailureMs = -Infinity
  let batchIds: number[] = []
  /** Of a group in doubt that was committed: what is asked again was done. */
  let known: ReadonlyMap<Operation, Outcome> = new Map()

  async function ready(): Promise<Client> {
    if (client === undefined) {
      if (performance.now() - lastFailureMs < REST_MS) throw new Error('The database cannot be reached.')
      try {
        client = await connect(connection)
        await client.begin()
        await assertDurable(client, connection)
        await client.commit()
      } catch (error) {
        lastFailureMs = performance.now()
        connection.onFailure?.(error)
        forget()
        throw error
      }
    }
    if (doubt !== undefined) await acknowledgeDoubt(client, doubt)
    return client
  }

  function forget(): void {
    if (client !== undefined) drop(client)
    client = undefined
    // A primary that took over need not know that these were given out.
    batchIds = []
  }

  async function acknowledgeDoubt(
    using: Client,
    { ownerId, commitNumber: doubted, outcomes }: Doubt,
  ): Promise<void> {
    await using.begin()
    const { rows } = await using.query<{ commit_number: number }>(
      'SELECT commit_number FROM owners WHERE owner_id = $1 FOR UPDATE',
      [ownerId],
    )
    const isCommitted = rows[0]?.commit_number === doubted
    if (isCommitted) {
      const freed = await using.query<QueueRow>(
        `UPDATE batches SET owner_id = NULL, lease_number = NULL WHERE owner_id = $1 AND lease_number = $2
         RETURNING ad_account_id, is_test`,
        [ownerId, doubted],
      )
      await tellFeed(using, null, { kind: 'queues', queues: uniqueQueues(freed.rows) })
    }
    // It waits for the standby as well: once it has this, it has what was in doubt before it.
    await using.commit()
    doubt = undefined
    if (isCommitted) known = outcomes
  }

  async function reserveIds(using: Client, operations: readonly Operation[]): Promise<void> {
    const needed = operations.reduce((sum, { kind, request }) => {
      if (kind === 'commit') return sum + 1
      return kind === 'replay' ? sum + (request as ReplayRequest).limit : sum
    }, 0)
    const missing = needed - batchIds.length
    if (missing <= 0) return
    const { rows } = await using.query<{ block: number }>(
      "SELECT nextval('batch_blocks') AS block FROM generate_series(1, $1)",
      [Math.ceil(missing / BLOCK_IDS)],
    )
    const fresh = rows.flatMap(({ block }) =>
      Array.from({ length: BLOCK_IDS }, (_, index) => block * BLOCK_IDS + index),
    )
    batchIds = [...batchIds, ...fresh]
  }

  async function transact(using: Client, operations: readonly Operation[]): Promise<Outcome[]> {
    commitNumber += 1
    const ownerId = owner.id
    let commitSent: Map<Operation, Outcome> | undefined
    try {
      await using.begin()
      await reserveIds(using, operations)
      // Also waits for whoever is just declaring this owner dead.
      const stamped = await using.query(
        `UPDATE owners SET commit_number = $2, heartbeat_at = clock_timestamp() WHERE owner_id = $1 AND dead_at IS NULL`,
        [ownerId, commitNumber],
      )
      if (stamped.rowCount === 0) throw new OwnerDead(ownerId)
      const totals = createTotalCounts()
      const tx: Transaction = {
        client: using,
        sealer,
        totals,
        ownerId,
        ownerIds: owner.ids,
        commitNumber,
        nextBatchId: () => batchIds.shift()!,
        report,
      }
      const outcomes = new Map<Operation, Outcome>()
      for (const { isFlow, operations: together } of phasesOf(operations)) {
        if (isFlow) await flow(tx, together, outcomes)
        else outcomes.set(together[0]!, { status: 'done', answer: await runOne(tx, together[0]!) })
      }
      await totals.write(using, ownerId)
      commitSent = outcomes
      await using.commit()
      return operations.map((operation) => outcomes.get(operation)!)
    } catch (error) {
      connection.onFailure?.(error)
      if (error instanceof CommitInDoubt) report({ problem: 'commit_in_doubt' })
      if (isConnectionLost(error) && !(error instanceof OwnerDead)) {
        if (commitSent !== undefined) doubt = { ownerId, commitNumber, outcomes: commitSent }
        forget()
      } else await using.query('ROLLBACK').catch(forget)
      throw error
    }
  }

  async function attempt(using: Client, operations: readonly Operation[]): Promise<Outcome[]> {
    for (let conflicts = 0; ; conflicts++) {
      try {
        return await transact(using, operations)
      } catch (error) {
        if (error instanceof OwnerDead && conflicts < CONFLICTS_BORNE)
          await owner.registerAgain(error.ownerId)
        else if (!isConflict(error) || conflicts >= CONFLICTS_BORNE) throw error
      }
    }
  }

  async function runAll(operations: readonly Operation[]): Promise<Outcome[]> {
    try {
      return await attempt(await ready(), operations)
    } catch (error) {
      const isOnesFault = !isPlaceAtFault(error)
      if (isOnesFault && operations.length === 1) {
        return [{ status: 'refused', error: toTravelError(error) }]
      }
      if (!isOnesFault) {
        const failed: Outcome = { status: 'unavailable', error: toTravelError(error) }
        return operations.map(() => failed)
      }
    }
    const outcomes: Outcome[] = []
    for (const operation of operations) outcomes.push(...(await runAll([operation])))
    return outcomes
  }

  return {
    async run(operations) {
      if (doubt !== undefined) {
        try {
          await ready()
        } catch (error) {
          connection.onFailure?.(error)
          // Whatever it was: a transaction may be open on it.
          forget()
          const failed: Outcome = { status: 'unavailable', error: toTravelError(error) }
          return operations.map(() => failed)
        }
      }
      const told = known
      known = new Map()
      const left = operations.filter((operation) => !told.has(operation))
      const outcomes = left.length === 0 ? [] : await runAll(left)
      const next = outcomes.values()
      return operations.map((operation) => told.get(operation) ?? next.next().value!)
    },
    async close() {
      if (client !== undefined) await endQuietly(client)
      client = undefined
    },
  }
}

async function flow(
  tx: Transaction,
  operations: readonly Operation[],
  outcomes: Map<Operation, Outcome>,
): Promise<void> {
  const of = (kind: OperationKind) => operations.filter((operation) => operation.kind === kind)
  const commits = of('commit')
  if (commits.length > 0) {
    const receipts = await commitAll(
      tx,
      commits.map(({ request }) => request as CommitRequest),
    )
    for (const [index, operation] of commits.entries()) {
      outcomes.set(operation, { status: 'done', answer: receipts[index]! })
    }
  }
  const acknowledgements = of('acknowledge')
  if (acknowledgements.length > 0) {
    const errors = await acknowledgeAll(
      tx,
      acknowledgements.map(({ request }) => request as AcknowledgeRequest),
    )
    for (const [index, operation] of acknowledgements.entries()) {
      const error = errors[index]
      outcomes.set(
        operation,
        error === undefined
          ? { status: 'done', answer: undefined }
          : { status: 'refused', error: toTravelError(error) },
      )
    }
  }
  const releases = of('release')
  await releaseAll(
    tx,
    releases.map(({ request }) => request as ReleaseRequest),
  )
  const counts = of('countInvalid')
  for (const { request } of counts) {
    const { invalidCount, ...queue } = request as QueueKey & { readonly invalidCount: number }
    tx.totals.count(queue, { invalid: invalidCount })
  }
  for (const operation of [...releases, ...counts])
    outcomes.set(operation, { status: 'done', answer: undefined })
}

async function runOne(tx: Transaction, { kind, request }: Operation): Promise<AnswerOf<OperationKind>> {
  switch (kind) {
    case 'lease':
      return lease(tx, request as LeaseRequest)
    case 'replay':
      return replay(tx, request as ReplayRequest)
    case 'purge':
      return purge(tx, request as PurgeRequest)
    case 'expire':
      return expire(tx, request as ExpireRequest)
    case 'trimDeadLetters':
      return trim(tx, request as BoundedTrimRequest)
    case 'addAudit':
      await addAudit(tx.client, request as Omit<AuditEntry, 'id'>)
      return undefined
    case 'reseal':
      return reseal(tx, request as ResealRequest)
    case 'trimDedupe': {
      const { seenBeforeMs, after } = request as TrimDedupeRequest
      const afterKey = after.table === 'tree' ? after.afterKey : new Uint8Array(0)
      const next = await trimDedupeStep(tx.client, seenBeforeMs, afterKey)
      return next && { table: 'tree', afterKey: next }
    }
    // These flow together, or are no business of a writer.
    case 'commit':
    case 'acknowledge':
    case 'release':
    case 'countInvalid':
    case 'backlog':
    case 'totals':
    case 'deadLetters':
    case 'auditTrail':
    case 'size':
    case 'probeWrite':
    case 'recover':
    case 'readVault':
    case 'changeVault':
      throw new Error(`The writer does not do ${kind} by itself.`)
  }
}
