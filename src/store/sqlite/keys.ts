/** Master keys, for both files: the checks of those that may still seal something in it (core/reseal.ts). */
import type { DatabaseSync } from 'node:sqlite'
import type { Sealer } from '../../vault/seal.ts'
import { assertCheckOpens, readKeyChecks } from '../core/reseal.ts'
import { StoreDamaged } from './failures.ts'
import { createRunner } from './run.ts'

/** Throws WRONG_MASTER_KEY when some check opens under none of the keys; reads only. */
export function assertKeysOpen(db: DatabaseSync, sealer: Sealer): void {
  for (const { key_id: keyId, sealed } of createRunner(db)(readKeyChecks())) {
    try {
      assertCheckOpens(sealed, sealer)
    } catch (error) {
      if (!sealer.keyIds.includes(keyId)) throw error
      throw new StoreDamaged('the check of the master key was changed', { cause: error })
    }
  }
}
