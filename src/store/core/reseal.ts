/**
 * Tells a wrong master key before it does harm, and seals again what an older one sealed. Each store keeps one sealed check
 * per master key that may still seal something in it; a start needs all of these keys, as MASTER_KEY or
 * MASTER_KEY_PREVIOUS. When everything was sealed again under the current key, the checks of the older ones go.
 */
import { WrongMasterKey } from '../../errors.ts'
import { KEY_ID_BYTES, KEY_ID_OFFSET, type SealBinding, type Sealer } from '../../vault/seal.ts'
import type { ResealPosition, ResealStep } from '../engine/operations.ts'
import { toQueue, type QueueRow } from './rows.ts'
import { bindBatch, bindDeadLetter, openSealed, type Bind } from './sealed.ts'

const BINDING: SealBinding = { purpose: 'master_key_check', owner: '' }

export function makeKeyCheck(sealer: Sealer): Uint8Array {
  return sealer.seal(Buffer.from('pinrelay'), BINDING)
}

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

interface ResealedTable {
  readonly name: string
  readonly id: string
  readonly bind: Bind
}

/** In this order. */
export const RESEALED_TABLES: readonly ResealedTable[] = [
  { name: 'batches', id: 'batch_id', bind: bindBatch },
  { name: 'dead_letters', id: 'id', bind: bindDeadLetter },
]
/** A step looks at so many rows at most, so that commits pass in between. */
export const RESEAL_STEP_ROWS = 2000
/** The first byte, counted from 1 as SQL does, and their number. */
export const KEY_ID_PLACE = [KEY_ID_OFFSET + 1, KEY_ID_BYTES] as const

export interface SealedRow extends QueueRow {
  readonly id: number
  readonly sealed: Uint8Array
}

/** What no key opens is left as it is. */
export function resealRows(
  rows: readonly SealedRow[],
  bind: Bind,
  sealer: Sealer,
): { readonly id: number; readonly sealed: Uint8Array }[] {
  return rows.flatMap((row) => {
    const binding = bind(toQueue(row))
    const plain = openSealed(sealer, row.sealed, binding)
    return plain === undefined ? [] : [{ id: row.id, sealed: sealer.seal(plain, binding) }]
  })
}

/** `lastId`: where this step stopped in its table; undefined at its end. No position: all is done. */
export function nextReseal(
  resealed: number,
  { table }: ResealPosition,
  lastId: number | undefined,
): ResealStep {
  if (lastId !== undefined) return { resealed, position: { table, afterId: lastId } }
  const isLast = table + 1 === RESEALED_TABLES.length
  return { resealed, position: isLast ? undefined : { table: table + 1, afterId: 0 } }
}
