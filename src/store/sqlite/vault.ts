/** The vault file's operations. Changes are rare: each one is a synced transaction of its own. */
import type { DatabaseSync } from 'node:sqlite'
import type { VaultDocument, VaultStore } from '../../vault/vault-store.ts'
import type { AnswerOf, RequestOf } from '../engine/operations.ts'

export type VaultKind = Exclude<keyof VaultStore, 'claim' | 'unclaim'>
export type VaultHandlers = { [K in VaultKind]: (request: RequestOf<K>) => AnswerOf<K> }

export function createVaultHandlers(db: DatabaseSync): VaultHandlers {
  const select = db.prepare('SELECT kind, id, body FROM documents ORDER BY kind, id')
  const put = db.prepare('INSERT OR REPLACE INTO documents (kind, id, body) VALUES (?, ?, ?)')
  const remove = db.prepare('DELETE FROM documents WHERE kind = ? AND id = ?')

  return {
    readVault: () => select.all().map((row) => ({ ...row }) as unknown as VaultDocument),
    changeVault(change) {
      db.exec('BEGIN IMMEDIATE')
      try {
        for (const { kind, id, body } of change.put) put.run(kind, id, body)
        for (const { kind, id } of change.remove) remove.run(kind, id)
        db.exec('COMMIT')
      } catch (error) {
        // A full disk may have rolled back already.
        if (db.isTransaction) db.exec('ROLLBACK')
        throw error
      }
    },
  }
}
