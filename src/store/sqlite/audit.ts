/** What operators did, newest first. */
import type { DatabaseSync } from 'node:sqlite'
import { addCounts, firstEntry, toAuditEntry, type AuditRow, type AuditStep } from '../core/audit.ts'
import type { AuditEntry, AuditQuery } from '../audit.ts'
import { prepare } from './connection.ts'

export interface Audit {
  /** Answers the entry's id. */
  add(entry: Omit<AuditEntry, 'id'>): number
  /** The same, of the run that the step belongs to. */
  count(step: AuditStep): number
  trail(query: AuditQuery): AuditEntry[]
}

export function createAudit(db: DatabaseSync): Audit {
  const insert = db.prepare('INSERT INTO audit (at_ms, action, details) VALUES (?, ?, ?)')
  const selectDetails = prepare<Pick<AuditRow, 'details'>>(db, 'SELECT details FROM audit WHERE id = ?')
  const updateDetails = db.prepare('UPDATE audit SET details = ? WHERE id = ?')
  const select = prepare<AuditRow>(db, 'SELECT * FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?')

  function add({ atMs, action, details }: Omit<AuditEntry, 'id'>): number {
    return Number(insert.run(atMs, action, JSON.stringify(details)).lastInsertRowid)
  }

  return {
    add,
    count(step) {
      const { auditId } = step
      const before = auditId === undefined ? undefined : selectDetails.get(auditId)
      if (auditId === undefined || before === undefined) return add(firstEntry(step))
      updateDetails.run(addCounts(before.details, step), auditId)
      return auditId
    },
    trail: ({ limit, beforeId = Number.MAX_SAFE_INTEGER }) => select.all(beforeId, limit).map(toAuditEntry),
  }
}
