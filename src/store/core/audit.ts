/** What operators did, as the audit trail has it. */
import type { Sealer } from '../../vault/seal.ts'
import { query, type Steps } from './sql.ts'

/** Something that an operator did. */
export interface AuditEntry {
  readonly id: number
  readonly atMs: number
  /** A stable word: `replay`, `purge`, `erase`, or the route of another request that changed something. */
  readonly action: string
  /** What it was done to, and how many of them: ids, filters and counts. Never a token, a key or an event's content. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface AuditQuery {
  readonly limit: number
  readonly beforeId?: number
  /** Of an event or an order; only what was done by it, since the master key was last changed. */
  readonly ofId?: string
}

interface AuditRow extends Omit<AuditEntry, 'details'> {
  /** JSON. */
  readonly details: string
}

/** Answers the entry's id. */
export function* addAudit({ atMs, action, details }: Omit<AuditEntry, 'id'>): Steps<number> {
  const [row] = yield* query<{ id: number }>(
    'INSERT INTO audit (at_ms, action, details) VALUES ($1, $2, $3) RETURNING id',
    [atMs, action, JSON.stringify(details)],
  )
  return row!.id
}

/** The ids that operators ask by may be a customer's number or name: who knows one finds the entry, nobody finds the id. */
export function hideIds(sealer: Sealer, details: AuditEntry['details']): AuditEntry['details'] {
  const hidden = ['event_id', 'order_id'].flatMap((name) => {
    const id = details[name]
    return typeof id === 'string' ? [[name, sealer.fingerprint(id)] as const] : []
  })
  return { ...details, ...Object.fromEntries(hidden) }
}

export function* readAudit(
  sealer: Sealer,
  { limit, beforeId = Number.MAX_SAFE_INTEGER, ofId }: AuditQuery,
): Steps<AuditEntry[]> {
  const rows = yield* query<AuditRow>(
    'SELECT id, at_ms AS "atMs", action, details FROM audit WHERE id < $1 AND details LIKE $2 ORDER BY id DESC LIMIT $3',
    [beforeId, ofId === undefined ? '%' : `%"${sealer.fingerprint(ofId)}"%`, limit],
  )
  return rows.map((row) => ({ ...row, details: JSON.parse(row.details) as AuditEntry['details'] }))
}
