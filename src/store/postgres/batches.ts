/** The rows of batches: how new ones are written. */
import { toQueue, type BatchRow } from '../core/rows.ts'
import type { Transaction } from './transaction.ts'

/** Leased by this transaction, or waiting. */
export async function insertBatches(
  { client, ownerId, commitNumber }: Transaction,
  rows: readonly BatchRow[],
  state: 'leased' | 'waiting',
): Promise<void> {
  if (rows.length === 0) return
  const isLeased = state === 'leased'
  await client.query(
    `INSERT INTO batches (owner_id, lease_number, batch_id, ad_account_id, is_test, is_replay, oldest_event_time_s,
       size_bytes, event_count, pending_count, attempts, received_at_ms, history, sealed)
     SELECT $1::bigint, $2::bigint, * FROM unnest($3::bigint[], $4::text[], $5::boolean[], $6::boolean[], $7::bigint[],
       $8::integer[], $9::integer[], $10::integer[], $11::integer[], $12::bigint[], $13::text[], $14::bytea[])`,
    [
      isLeased ? ownerId : null,
      isLeased ? commitNumber : null,
      rows.map((row) => row.batch_id),
      rows.map((row) => row.ad_account_id),
      rows.map((row) => toQueue(row).isTest),
      rows.map((row) => Boolean(row.is_replay)),
      rows.map((row) => row.oldest_event_time_s),
      rows.map((row) => row.size_bytes),
      rows.map((row) => row.event_count),
      rows.map((row) => row.pending_count),
      rows.map((row) => row.attempts),
      rows.map((row) => row.received_at_ms),
      rows.map((row) => row.history),
      rows.map((row) => row.sealed),
    ],
  )
}

/** Batches that no key opens stay in the store, marked as leased. */
export async function holdBatches(
  { client, ownerId, commitNumber }: Transaction,
  batchIds: readonly number[],
): Promise<BatchRow[]> {
  if (batchIds.length === 0) return []
  const { rows } = await client.query<BatchRow>(
    'UPDATE batches SET owner_id = $1, lease_number = $2 WHERE batch_id = ANY($3) RETURNING *',
    [ownerId, commitNumber, batchIds],
  )
  return rows
}
