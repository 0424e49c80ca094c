/** What the operations of one transaction share. */
import { query } from '../core/sql.ts'
import type { Transaction } from '../core/transaction.ts'
import { createTotalCounts } from '../core/counters.ts'
import { DEAD_LETTER_PART } from '../core/capacity.ts'
import { TRAIL_PART } from '../core/trail.ts'
import type { SharedChange } from '../shared.ts'
import type { Queryable } from './client.ts'
import { DEDUPE } from './dedupe.ts'
import { createLeases } from './leases.ts'
import type { Owner } from './owner.ts'

/** `commitNumber` names it; see `writer.ts`. */
export function createTransaction(
  parts: Pick<Transaction, 'sealer' | 'trail' | 'report' | 'nextBatchId'> & { readonly limitBytes: number },
  { id: ownerId, ids: ownerIds }: Pick<Owner, 'id' | 'ids'>,
  commitNumber: number,
): Transaction {
  const { limitBytes } = parts
  const tellQueues: Transaction['tellQueues'] = function* tell(queues) {
    if (queues.length > 0) yield* query(TELL, [ownerId, JSON.stringify({ kind: 'queues', queues })])
  }
  return {
    ...parts,
    totals: createTotalCounts(),
    limits: { deadLetterBytes: DEAD_LETTER_PART * limitBytes, trailBytes: TRAIL_PART * limitBytes },
    ownerIds,
    leases: createLeases({ ownerIds, tellQueues }, ownerId, commitNumber),
    dedupe: DEDUPE,
    tellQueues,
    *tryLock(lock) {
      const [row] = yield* query<{ is_mine: boolean }>('SELECT pg_try_advisory_xact_lock($1) AS is_mine', [
        lock,
      ])
      return row!.is_mine
    },
    inVault: (steps) => steps,
    *closeTrail() {},
    *keyIdsInUse() {
      const rows = yield* query<{ key_id: string }>('SELECT key_id FROM owners WHERE dead_at IS NULL')
      return rows.map((row) => row.key_id)
    },
  }
}

const TELL = 'INSERT INTO feed (owner_id, change) VALUES ($1, $2)'

/**
 * Notes a change for other replicas, in the transaction that makes it: both are committed, or neither. `ownerId`: the
 * replica that knows already; null: none does.
 */
export async function tellFeed(
  client: Queryable,
  ownerId: number | null,
  change: SharedChange,
): Promise<void> {
  if (change.kind === 'queues' && change.queues.length === 0) return
  await client.query(TELL, [ownerId, JSON.stringify(change)])
}
