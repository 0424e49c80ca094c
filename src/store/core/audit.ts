/**
 * What operators did, as the audit trail has it. A run over dead letters has one entry: its first step makes it, the later
 * ones, which know its id, add their counts to it. In the step's transaction, so that nothing is done that is not in the trail.
 */
import { sha256Hex } from '../../events/hash.ts'
import type { DeadLetterFilter, PurgeRequest } from '../store.ts'
import { query, type Steps } from './sql.ts'

/** Something that an operator did. */
export interface AuditEntry {
  readonly id: number
  readonly atMs: number
  /** A stable word: `replay`, `purge`, or the route of another request that changed something. */
  readonly action: string
  /** What it was done to, and how many of them: ids, filters and counts. Never a token, a key or an event's content. */
  readonly details: Readonly<Record<string, unknown>>
}

export interface AuditQuery {
  readonly limit: number
  readonly beforeId?: number
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

/** One step of a run over dead letters; answers the id of the run's entry. */
export function* countInAudit(
  action: 'replay' | 'purge',
  request: PurgeRequest,
  counts: Readonly<Record<string, number>>,
): Steps<number> {
  const { auditId, nowMs } = request
  const [before] = yield* query<AuditRow>('SELECT details FROM audit WHERE id = $1 FOR UPDATE', [
    auditId ?? 0,
  ])
  if (auditId === undefined || before === undefined) {
    return yield* addAudit({ atMs: nowMs, action, details: { filter: auditedFilter(request), ...counts } })
  }
  const details = JSON.parse(before.details) as AuditEntry['details']
  const sums = Object.entries(counts).map(([name, count]) => [name, Number(details[name]) + count] as const)
  const summed = { ...details, ...Object.fromEntries(sums) }
  yield* query('UPDATE audit SET details = $1 WHERE id = $2', [JSON.stringify(summed), auditId])
  return auditId
}

/** With the admin port's names, and nothing else of the query. */
function auditedFilter({ ids, ...filter }: DeadLetterFilter): Readonly<Record<string, unknown>> {
  return {
    ids,
    ad_account_id: filter.adAccountId,
    test: filter.isTest,
    status: filter.status,
    reason: filter.reason,
    event_name: filter.eventName,
    event_id: auditedId(filter.eventId),
    order_id: auditedId(filter.orderId),
  }
}

/**
 * Of an id that operators ask by, which may be a customer's number: who knows the id finds the entry, and nobody finds the id, since some six hundred
 * phone numbers of a country begin alike.
 */
export function auditedId(id: string | undefined): string | undefined {
  return id && `sha256:${sha256Hex(id).slice(0, AUDITED_DIGITS)}`
}

const AUDITED_DIGITS = 6

export function* readAudit({ limit, beforeId = Number.MAX_SAFE_INTEGER }: AuditQuery): Steps<AuditEntry[]> {
  const rows = yield* query<AuditRow>(
    'SELECT id, at_ms AS "atMs", action, details FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2',
    [beforeId, limit],
  )
  return rows.map((row) => ({ ...row, details: JSON.parse(row.details) as AuditEntry['details'] }))
}
