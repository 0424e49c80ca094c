/** The vault's file. Changes are rare: each one is a synced transaction of its own. Nobody else has the file. */
import type { DatabaseSync } from 'node:sqlite'
import { StoreUnavailable } from '../../errors.ts'
import type { VaultDocument, VaultStore } from '../../vault/vault-store.ts'
import { isNoSpace, isPlaceAtFault } from './failures.ts'
import type { ReservedSpace } from './reserved-space.ts'

export function createVaultStore(db: DatabaseSync, reservedSpace: ReservedSpace): VaultStore {
  const select = db.prepare('SELECT kind, id, body FROM documents ORDER BY kind, id')
  const put = db.prepare('INSERT OR REPLACE INTO documents (kind, id, body) VALUES (?, ?, ?)')
  const remove = db.prepare('DELETE FROM documents WHERE kind = ? AND id = ?')

  function attempt<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      // A full disk may have rolled back already.
      if (db.isOpen && db.isTransaction) db.exec('ROLLBACK')
      // An operator's change, such as a new token, may be what lets the queue drain.
      if (isNoSpace(error) && reservedSpace.giveUp()) return attempt(work)
      throw isPlaceAtFault(error) ? new StoreUnavailable({ cause: error }) : error
    }
  }

  return {
    readVault: async () => attempt(() => select.all().map((row) => ({ ...row }) as unknown as VaultDocument)),
    async changeVault(decide) {
      const change = await decide(undefined)
      if (change.length === 0) return
      attempt(() => {
        db.exec('BEGIN IMMEDIATE')
        for (const { kind, id, body } of change) {
          if (body === undefined) remove.run(kind, id)
          else put.run(kind, id, body)
        }
        db.exec('COMMIT')
      })
    },
    claim: () => Promise.resolve(true),
    unclaim: () => Promise.resolve(),
  }
}
