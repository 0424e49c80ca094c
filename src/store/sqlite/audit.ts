/** What operators did, newest first. */
import type { DatabaseSync } from 'node:sqlite'
import type { AuditEntry, AuditQuery, DeadLetterFilter } from '../store.ts'
import { prepareRows } from './connection.ts'

type Details = AuditEntry['details']

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

export interface AuditStep {
  readonly auditId: number | undefined
  readonly action: 'replay' | 'purge'
  readonly filter: DeadLetterFilter
  readonly counts: Readonly<Record<string, number>>
  readonly nowMs: number
}

export function createAudit(db: DatabaseSync): Audit {
  const insert = db.prepare('INSERT INTO audit (at_ms, action, details) VALUES (?, ?, ?)')
  const selectDetails = prepareRows<[details: string]>(db, 'SELECT details FROM audit WHERE id = ?')
  const updateDetails = db.prepare('UPDATE audit SET details = ? WHERE id = ?')
  const select = prepareRows<[id: number, atMs: number, action: string, details: string]>(
    db,
    'SELECT id, at_ms, action, details FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?',
  )

  function add({ atMs, action, details }: Omit<AuditEntry, 'id'>): number {
    return Number(insert.run(atMs, action, JSON.stringify(details)).lastInsertRowid)
  }

  return {
    add,
    count({ auditId, action, filter, counts, nowMs }) {
      const [before] = (auditId === undefined ? undefined : selectDetails.get(auditId)) ?? []
      if (auditId === undefined || before === undefined) {
        return add({ atMs: nowMs, action, details: { filter: tellFilter(filter), ...counts } })
      }
      updateDetails.run(JSON.stringify(addCounts(JSON.parse(before) as Details, counts)), auditId)
      return auditId
    },
    trail: ({ limit, beforeId = Number.MAX_SAFE_INTEGER }) =>
      select.all(beforeId, limit).map(([id, atMs, action, details]) => ({
        id,
        atMs,
        action,
        details: JSON.parse(details) as Details,
      })),
  }
}

function addCounts(details: Details, counts: Readonly<Record<string, number>>): Details {
  const sums = Object.entries(counts).map(([name, count]) => [name, Number(details[name]) + count])
  return { ...details, ...(Object.fromEntries(sums) as Record<string, number>) }
}

/** In the words of the admin port; nothing that the query holds besides. */
function tellFilter({ ids, adAccountId, isTest, status, reason, eventName }: DeadLetterFilter): Details {
  return { ids, ad_account_id: adAccountId, test: isTest, status, reason, event_name: eventName }
}
