/**
 * Tells a wrong master key before it does harm. Each file keeps one sealed check value per master key that may still
 * seal something in it; a start needs all of these keys, as MASTER_KEY or MASTER_KEY_PREVIOUS. When everything was
 * sealed again under the current key, the checks of the older ones go.
 */
import type { DatabaseSync } from 'node:sqlite'
import { WrongMasterKey } from '../../errors.ts'
import { StoreDamaged } from './connection.ts'
import type { SealBinding, Sealer } from '../../vault/seal.ts'

const BINDING: SealBinding = { purpose: 'master_key_check', owner: '' }
const CHECKS = `FROM meta WHERE name GLOB 'check:*'`

/** Throws WRONG_MASTER_KEY when some check opens under none of the keys; reads only. */
export function assertKeysOpen(db: DatabaseSync, sealer: Sealer): void {
  for (const { name, value } of db.prepare(`SELECT name, value ${CHECKS}`).all()) {
    try {
      sealer.open(value as Uint8Array, BINDING)
    } catch (error) {
      const isKnownKey = sealer.keyIds.some((keyId) => name === `check:${keyId}`)
      if (isKnownKey) throw new StoreDamaged('the check of the master key was changed', { cause: error })
      throw new WrongMasterKey(
        'The store was sealed with a master key that is neither MASTER_KEY nor MASTER_KEY_PREVIOUS; nothing was changed.',
        { cause: error },
      )
    }
  }
}

/** From here on the current key may seal something in this file. */
export function addCheck(db: DatabaseSync, sealer: Sealer): void {
  const sealed = sealer.seal(Buffer.from('pinrelay'), BINDING)
  db.prepare('INSERT OR IGNORE INTO meta (name, value) VALUES (?, ?)').run(checkName(sealer), sealed)
}

export function hasOlderChecks(db: DatabaseSync, sealer: Sealer): boolean {
  return db.prepare(`SELECT 1 ${CHECKS} AND name <> ? LIMIT 1`).get(checkName(sealer)) !== undefined
}

/** Only when nothing in this file needs an older key any more. */
export function dropOlderChecks(db: DatabaseSync, sealer: Sealer): void {
  db.prepare(`DELETE ${CHECKS} AND name <> ?`).run(checkName(sealer))
}

function checkName(sealer: Sealer): string {
  return `check:${sealer.keyId}`
}
