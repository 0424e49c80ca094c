/** Master keys, for both files: the checks of those that may still seal something in it, and sealing again. */
import type { DatabaseSync } from 'node:sqlite'
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
import { prepare } from './connection.ts'
import { StoreDamaged } from './failures.ts'
import type { QueueTables } from './queue-tables.ts'

const CHECKS = `FROM meta WHERE name GLOB 'check:*'`

/** Throws WRONG_MASTER_KEY when some check opens under none of the keys; reads only. */
export function assertKeysOpen(db: DatabaseSync, sealer: Sealer): void {
  for (const { name, value } of db.prepare(`SELECT name, value ${CHECKS}`).all()) {
    try {
      assertCheckOpens(value as Uint8Array, sealer)
    } catch (error) {
      const isKnownKey = sealer.keyIds.some((keyId) => name === `check:${keyId}`)
      throw isKnownKey ? new StoreDamaged('the check of the master key was changed', { cause: error }) : error
    }
  }
}

/** Called before the current key seals anything in this file. */
export function addCheck(db: DatabaseSync, sealer: Sealer): void {
  const insert = db.prepare('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)')
  insert.run(checkName(sealer), makeKeyCheck(sealer))
}

function hasOlderChecks(db: DatabaseSync, sealer: Sealer): boolean {
  return db.prepare(`SELECT 1 ${CHECKS} AND name <> ? LIMIT 1`).get(checkName(sealer)) !== undefined
}

/** Only when nothing in this file needs an older key any more. */
function dropOlderChecks(db: DatabaseSync, sealer: Sealer): void {
  db.prepare(`DELETE ${CHECKS} AND name <> ?`).run(checkName(sealer))
}

function checkName(sealer: Sealer): string {
  return `check:${sealer.keyId}`
}

export function createReseal(
  { db, sealer }: QueueTables,
  vaultDb: DatabaseSync,
): (request: ResealRequest) => ResealStep {
  const currentKeyId = Buffer.from(sealer.keyId, 'hex')
  const tables = RESEALED_TABLES.map(({ name, id, bind }) => ({
    bind,
    stepEnd: prepare<{ id: number }>(
      db,
      `SELECT ${id} AS id FROM ${name} WHERE ${id} > ? ORDER BY ${id} LIMIT 1 OFFSET ${RESEAL_STEP_ROWS - 1}`,
    ),
    selectOlder: prepare<SealedRow>(
      db,
      `SELECT ${id} AS id, ad_account_id, is_test, sealed FROM ${name} WHERE ${id} > ? AND ${id} <= ?
         AND substr(sealed, ${KEY_ID_PLACE.join(', ')}) <> ? ORDER BY ${id} LIMIT ?`,
    ),
    update: db.prepare(`UPDATE ${name} SET sealed = ? WHERE ${id} = ?`),
  }))

  return function reseal({ limit, position }) {
    dropVaultChecks(vaultDb, sealer)
    if (!hasOlderChecks(db, sealer)) return { resealed: 0, position: undefined }
    const { bind, stepEnd, selectOlder, update } = tables[position.table]!
    const endId = stepEnd.get(position.afterId)?.id
    const rows = selectOlder.all(position.afterId, endId ?? Number.MAX_SAFE_INTEGER, currentKeyId, limit)
    const resealed = resealRows(rows, bind, sealer)
    for (const row of resealed) update.run(row.sealed, row.id)
    const step = nextReseal(resealed.length, position, rows.length === limit ? rows.at(-1)?.id : endId)
    if (step.position === undefined) dropOlderChecks(db, sealer)
    return step
  }
}

/** The vault seals its documents again itself; this checks that it has. */
function dropVaultChecks(vaultDb: DatabaseSync, sealer: Sealer): void {
  if (!hasOlderChecks(vaultDb, sealer)) return
  const documents = vaultDb.prepare('SELECT body FROM documents').all()
  const isDone = documents.every((row) => sealer.isCurrent(row['body'] as Uint8Array))
  if (isDone) dropOlderChecks(vaultDb, sealer)
}
