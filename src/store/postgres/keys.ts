/**
 * Master keys: tells a wrong one before it does harm, as in SQLite, and seals again what an older one sealed. The check of
 * an older key goes when nothing needs it any more and no living replica seals with it.
 */
import { WrongMasterKey } from '../../errors.ts'
import { KEY_ID_BYTES, KEY_ID_OFFSET, type SealBinding, type Sealer } from '../../vault/seal.ts'
import { bindDeadLetter, bindBatch } from '../dead-letter.ts'
import type { ResealRequest, ResealStep } from '../engine/protocol.ts'
import type { Queryable } from './client.ts'
import type { QueueRow } from './queue-rows.ts'
import type { Transaction } from './transaction.ts'

const BINDING: SealBinding = { purpose: 'master_key_check', owner: '' }
const STEP_ROWS = 2000
type Place = 'queue' | 'vault'

export async function assertKeysOpen(client: Queryable, sealer: Sealer): Promise<void> {
  const { rows } = await client.query<{ sealed: Buffer }>('SELECT sealed FROM key_checks')
  for (const { sealed } of rows) {
    try {
      sealer.open(sealed, BINDING)
    } catch (error) {
      throw new WrongMasterKey(
        'The store was sealed with a master key that is neither MASTER_KEY nor MASTER_KEY_PREVIOUS; nothing was changed.',
        { cause: error },
      )
    }
  }
}

/** From here on the current key may seal something. */
export async function addChecks(client: Queryable, sealer: Sealer): Promise<void> {
  await client.query(
    `INSERT INTO key_checks (place, key_id, sealed) SELECT place, $1, $2 FROM unnest($3::text[]) AS place
     ON CONFLICT DO NOTHING`,
    [sealer.keyId, sealer.seal(Buffer.from('pinrelay'), BINDING), ['queue', 'vault']],
  )
}

const TABLES = [
  { name: 'batches', id: 'batch_id', bind: bindBatch },
  { name: 'dead_letters', id: 'id', bind: bindDeadLetter },
] as const

export async function reseal(
  { client, sealer }: Transaction,
  { limit, position: { table, afterId } }: ResealRequest,
): Promise<ResealStep> {
  await dropVaultChecks(client, sealer)
  if (!(await hasOlderChecks(client, sealer, 'queue'))) return { resealed: 0, position: undefined }
  const { name, id, bind } = TABLES[table]!
  const end = await client.query<{ id: number }>(
    `SELECT ${id} AS id FROM ${name} WHERE ${id} > $1 ORDER BY ${id} LIMIT 1 OFFSET ${STEP_ROWS - 1}`,
    [afterId],
  )
  const endId = end.rows[0]?.id
  const { rows } = await client.query<QueueRow & { id: number; sealed: Buffer }>(
    `SELECT ${id} AS id, ad_account_id, sealed FROM ${name} WHERE ${id} > $1 AND ${id} <= $2
       AND substring(sealed FROM ${KEY_ID_OFFSET + 1} FOR ${KEY_ID_BYTES}) <> $3 ORDER BY ${id} LIMIT $4
     FOR UPDATE`,
    [afterId, endId ?? Number.MAX_SAFE_INTEGER, Buffer.from(sealer.keyId, 'hex'), limit],
  )
  const anew = rows.flatMap((row) => {
    const binding = bind(row.ad_account_id)
    try {
      return [{ id: row.id, sealed: sealer.seal(sealer.open(row.sealed, binding), binding) }]
    } catch {
      // What no key opens is left as it is.
      return []
    }
  })
  if (anew.length > 0) {
    await client.query(
      `UPDATE ${name} SET sealed = new.sealed FROM unnest($1::bigint[], $2::bytea[]) AS new (id, sealed)
       WHERE ${name}.${id} = new.id`,
      [anew.map((row) => row.id), anew.map((row) => row.sealed)],
    )
  }
  const resealed = anew.length
  const lastId = rows.length === limit ? rows.at(-1)?.id : endId
  if (lastId !== undefined) return { resealed, position: { table, afterId: lastId } }
  if (table + 1 < TABLES.length) return { resealed, position: { table: table + 1, afterId: 0 } }
  await dropOlderChecks(client, sealer, 'queue')
  return { resealed, position: undefined }
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

/** The vault's documents are sealed again by the vault itself; here is only seen that it is done. */
async function dropVaultChecks(client: Queryable, sealer: Sealer): Promise<void> {
  if (!(await hasOlderChecks(client, sealer, 'vault'))) return
  const { rows } = await client.query<{ body: Buffer }>('SELECT body FROM documents')
  if (rows.every(({ body }) => sealer.isCurrent(body))) await dropOlderChecks(client, sealer, 'vault')
}
