/**
 * Detects a wrong master key before it does harm, and seals again what an older one sealed. Each store keeps one sealed check
 * per master key that may still seal something in it; a start needs all of these keys, as MASTER_KEY or
 * MASTER_KEY_PREVIOUS. When everything was sealed again under the current key, the checks of the older ones go.
 */
import { WrongMasterKey } from '../../errors.ts'
import { KEY_ID_BYTES, KEY_ID_OFFSET, type SealBinding, type Sealer } from '../../vault/seal.ts'
import type { AnswerOf, RequestOf } from '../engine/operations.ts'
import { toQueue, type QueueRow } from './rows.ts'
import { bindBatch, bindDeadLetter, openCompressed, type Bind } from './sealed.ts'
import { insert, query, update, type Steps } from './sql.ts'
import type { Transaction } from './transaction.ts'
import { nextPosition } from './walk.ts'

const BINDING: SealBinding = { purpose: 'master_key_check', owner: '' }

/** Throws WRONG_MASTER_KEY. */
export function assertCheckOpens(check: Uint8Array, sealer: Sealer): void {
  try {
    sealer.open(check, BINDING)
  } catch (error) {
    throw new WrongMasterKey(
      'The store was sealed with a master key that is neither MASTER_KEY nor MASTER_KEY_PREVIOUS; nothing was changed.',
      { cause: error },
    )
  }
}

export const readKeyChecks = () =>
  query<{ readonly key_id: string; readonly sealed: Uint8Array }>('SELECT key_id, sealed FROM key_checks')

type Place = 'queue' | 'vault'

/** Called before the current key seals anything. */
export function* addKeyChecks(sealer: Sealer, places: readonly Place[]): Steps<void> {
  const sealed = sealer.seal(Buffer.from('pinrelay'), BINDING)
  const rows = places.map((place) => ({ place, key_id: sealer.keyId, sealed }))
  yield* insert('key_checks', rows, 'ON CONFLICT DO NOTHING')
}

export function* reseal(tx: Transaction, { limit, from }: RequestOf<'reseal'>): Steps<AnswerOf<'reseal'>> {
  const { sealer } = tx
  const inUse = yield* tx.keyIdsInUse()
  yield* tx.inVault(dropVaultChecks(sealer, inUse))
  if (!(yield* hasOlderChecks(sealer, 'queue'))) return { resealed: 0, next: undefined }
  const { name, id, bind } = RESEALED_TABLES[from.table]!
  const afterId = from.at ?? 0
  const [end] = yield* query<{ id: number }>(
    `SELECT ${id} AS id FROM ${name} WHERE ${id} > $1 ORDER BY ${id} LIMIT 1 OFFSET ${RESEAL_STEP_ROWS - 1}`,
    [afterId],
  )
  const rows = yield* query<SealedRow>(
    `SELECT ${id} AS id, ad_account_id, is_test, sealed FROM ${name} WHERE ${id} > $1 AND ${id} <= $2
       AND substr(sealed, ${KEY_ID_PLACE.join(', ')}) <> $3 ORDER BY ${id} LIMIT $4 FOR UPDATE`,
    [afterId, end?.id ?? Number.MAX_SAFE_INTEGER, Buffer.from(sealer.keyId, 'hex'), limit],
  )
  // What no key opens is left as it is.
  const resealed = rows.flatMap((row) => {
    const binding = bind(toQueue(row))
    const plain = openCompressed(sealer, row.sealed, binding)
    return plain === undefined ? [] : [{ [id]: row.id, sealed: sealer.seal(plain, binding) }]
  })
  yield* update(name, id, resealed)
  const lastId = rows.length === limit ? rows.at(-1)?.id : end?.id
  const next = nextPosition(from, lastId, RESEALED_TABLES)
  if (next === undefined) yield* dropOlderChecks(sealer, 'queue', inUse)
  return { resealed: resealed.length, next }
}

function* hasOlderChecks(sealer: Sealer, place: Place): Steps<boolean> {
  const older = yield* query('SELECT key_id FROM key_checks WHERE place = $1 AND key_id <> $2 LIMIT 1', [
    place,
    sealer.keyId,
  ])
  return older.length > 0
}

/** Only when nothing needs an older key any more, and no living replica seals with it. */
function* dropOlderChecks(sealer: Sealer, place: Place, inUse: readonly string[]): Steps<void> {
  yield* query('DELETE FROM key_checks WHERE place = $1 AND NOT key_id = ANY($2)', [
    place,
    [...inUse, sealer.keyId],
  ])
}

/** The vault seals its documents again itself; this checks that it has. */
function* dropVaultChecks(sealer: Sealer, inUse: readonly string[]): Steps<void> {
  if (!(yield* hasOlderChecks(sealer, 'vault'))) return
  const documents = yield* query<{ body: Uint8Array }>('SELECT body FROM documents')
  if (documents.every(({ body }) => sealer.isCurrent(body))) {
    yield* dropOlderChecks(sealer, 'vault', inUse)
  }
}

/** Resealed in this order. */
const RESEALED_TABLES: readonly { readonly name: string; readonly id: string; readonly bind: Bind }[] = [
  { name: 'batches', id: 'batch_id', bind: bindBatch },
  { name: 'dead_letters', id: 'id', bind: bindDeadLetter },
]
/** Most rows that a step reads, so that commits run in between. */
const RESEAL_STEP_ROWS = 2000
/** Of the key id in a sealed value: its first byte, counted from 1 as SQL does, and its length. */
const KEY_ID_PLACE = [KEY_ID_OFFSET + 1, KEY_ID_BYTES] as const

interface SealedRow extends QueueRow {
  readonly id: number
  readonly sealed: Uint8Array
}
