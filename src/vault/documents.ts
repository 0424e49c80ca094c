/** The vault's records as sealed documents: JSON, bound to its kind and id, so that none can pass for another one. */
import { applyChange, EMPTY_STATE, type Change, type Entry, type VaultState } from './records.ts'
import type { Sealer } from './seal.ts'
import type { DocumentKey, VaultChange, VaultDocument } from './vault-store.ts'

export interface Documents {
  /** Throws CANNOT_OPEN when no master key opens one of them. */
  open(documents: readonly VaultDocument[]): VaultState
  seal(change: Change): VaultChange
  /** Whether the current master key sealed it. */
  isCurrent(document: VaultDocument): boolean
}

export function createDocuments(sealer: Sealer): Documents {
  return {
    open(documents) {
      const known = documents.filter(({ kind }) => kind in EMPTY_STATE)
      const entries = known.map(({ kind, id, body }) => {
        const text = Buffer.from(sealer.open(body, bind({ kind, id }))).toString('utf8')
        return [kind, id, JSON.parse(text) as unknown] as Entry
      })
      return applyChange(EMPTY_STATE, entries)
    },
    seal(change) {
      const put: VaultDocument[] = []
      const remove: DocumentKey[] = []
      for (const [kind, id, record] of change) {
        if (record === undefined) remove.push({ kind, id })
        else
          put.push({ kind, id, body: sealer.seal(Buffer.from(JSON.stringify(record)), bind({ kind, id })) })
      }
      return { put, remove }
    },
    isCurrent: ({ body }) => sealer.isCurrent(body),
  }
}

function bind({ kind, id }: DocumentKey) {
  return { purpose: `vault_${kind}`, owner: id }
}
