/**
 * Master keys: the checks of those that may still seal something, and sealing again. The check of an older key goes when
 * nothing needs it any more and no living replica seals with it.
 */
import {
  assertCheckOpens,
  KEY_ID_PLACE,
  makeKeyCheck,
  nextReseal,
  RESEAL_STEP_ROWS,
  RESEALED_TABLES,
  resealRows,
  type SealedRow,
} from '../core/reseal.ts'
import type { ResealRequest, ResealStep } from '../engine/operations.ts'
import type { Sealer } from '../../vault/seal.ts'
import type { Queryable } from './client.ts'
import type { Transaction } from './transaction.ts'

type Place = 'queue' | 'vault'

/** Throws WRONG_MASTER_KEY when some check opens under none of the keys. */
export async function assertKeysOpen(client: Queryable, sealer: Sealer): Promise<void> {
  const { rows } = await client.query<{ sealed: Buffer }>('SELECT sealed FROM key_checks')
  for (const { sealed } of rows) assertCheckOpens(sealed, sealer)
}

/** Called before the current key seals anything. */
export async function addChecks(client: Queryable, sealer: Sealer): Promise<void> {
  await client.query(
    `INSERT INTO key_checks (place, key_id, sealed) SELECT place, $1, $2 FROM unnest($3::text[]) AS place
     ON CONFLICT DO NOTHING`,
    [sealer.keyId, makeKeyCheck(sealer), ['queue', 'vault']],
  )
}

export async function reseal(
  { client, sealer }: Transaction,
  { limit, position }: ResealRequest,
): Promise<ResealStep> {
  await dropVaultChecks(client, sealer)
  if (!(await hasOlderChecks(client, sealer, 'queue'))) return { resealed: 0, position: undefined }
  const { name, id, bind } = RESEALED_TABLES[position.table]!
  const end = await client.query<{ id: number }>(
    `SELECT ${id} AS id FROM ${name} WHERE ${id} > $1 ORDER BY ${id} LIMIT 1 OFFSET ${RESEAL_STEP_ROWS - 1}`,
    [position.afterId],
  )
  const endId = end.rows[0]?.id
  const { rows } = await client.query<SealedRow>(
    `SELECT ${id} AS id, ad_account_id, is_test, sealed FROM ${name} WHERE ${id} > $1 AND ${id} <= $2
       AND substr(sealed, ${KEY_ID_PLACE.join(', ')}) <> $3 ORDER BY ${id} LIMIT $4 FOR UPDATE`,
    [position.afterId, endId ?? Number.MAX_SAFE_INTEGER, Buffer.from(sealer.keyId, 'hex'), limit],
  )
  const resealed = resealRows(rows, bind, sealer)
  if (resealed.length > 0) {
    await client.query(
      `UPDATE ${name} SET sealed = new.sealed FROM unnest($1::bigint[], $2::bytea[]) AS new (id, sealed)
       WHERE ${name}.${id} = new.id`,
      [resealed.map((row) => row.id), resealed.map((row) => row.sealed)],
    )
  }
  const step = nextReseal(resealed.length, position, rows.length === limit ? rows.at(-1)?.id : endId)
  if (step.position === undefined) await dropOlderChecks(client, sealer, 'queue')
  return step
}

async function hasOlderChecks(client: Queryable, sealer: Sealer, place: Place): Promise<boolean> {
  const { rowCount } = await client.query(
    'SELECT 1 FROM key_checks WHERE place = $1 AND key_id <> $2 LIMIT 1',
    [place, sealer.keyId],
  )
  return rowCount !== 0
}

async function dropOlderChecks(client: Queryable, sealer: Sealer, place: Place): Promise<void> {
  await client.query(
    `DELETE FROM key_checks WHERE place = $1 AND key_id <> $2
       AND NOT EXISTS (SELECT 1 FROM owners WHERE dead_at IS NULL AND owners.key_id = key_checks.key_id)`,
    [place, sealer.keyId],
  )
}

/** The vault seals its documents again itself; this checks that it has. */
async function dropVaultChecks(client: Queryable, sealer: Sealer): Promise<void> {
  if (!(await hasOlderChecks(client, sealer, 'vault'))) return
  const { rows } = await client.query<{ body: Buffer }>('SELECT body FROM documents')
  if (rows.every(({ body }) => sealer.isCurrent(body))) await dropOlderChecks(client, sealer, 'vault')
}
