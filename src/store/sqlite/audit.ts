/** What operators did, newest first. */
import type { DatabaseSync } from 'node:sqlite'
import { addCounts, firstDetails, type AuditDetails, type AuditStep } from '../audit-steps.ts'
import type { AuditEntry, AuditQuery } from '../store.ts'
import { prepareObjects, prepareRows } from './connection.ts'

export interface Audit {
  /** Answers the entry's id. */
  add(entry: Omit<AuditEntry, 'id'>): number
  /**
   * One step of a run over dead letters: the first one makes the entry, the later ones, which know its id, add their
   * counts to it. In the step's transaction, so that nothing is done that is not told.
   */
  count(step: AuditStep): number
  trail(query: AuditQuery): AuditEntry[]
}

export function createAudit(db: DatabaseSync): Audit {
  const insert = db.prepare('INSERT INTO audit (at_ms, action, details) VALUES (?, ?, ?)')
  const selectDetails = prepareRows<[details: string]>(db, 'SELECT details FROM audit WHERE id = ?')
  const updateDetails = db.prepare('UPDATE audit SET details = ? WHERE id = ?')
  const select = prepareObjects<Omit<AuditEntry, 'details'> & { details: string }>(
    db,
    'SELECT id, at_ms AS atMs, action, details FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?',
  )

  function add({ atMs, action, details }: Omit<AuditEntry, 'id'>): number {
    return Number(insert.run(atMs, action, JSON.stringify(details)).lastInsertRowid)
  }

  return {
    add,
    count(step) {
      const { auditId, action, nowMs } = step
      const [before] = (auditId === undefined ? undefined : selectDetails.get(auditId)) ?? []
      if (auditId === undefined || before === undefined) {
        return add({ atMs: nowMs, action, details: firstDetails(step) })
      }
      updateDetails.run(JSON.stringify(addCounts(JSON.parse(before) as AuditDetails, step)), auditId)
      return auditId
    },
    trail: ({ limit, beforeId = Number.MAX_SAFE_INTEGER }) =>
      select
        .all(beforeId, limit)
        .map((row) => ({ ...row, details: JSON.parse(row.details) as AuditDetails })),
  }
}
