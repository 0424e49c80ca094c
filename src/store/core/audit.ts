/**
 * What operators did, as the audit trail has it. A run over dead letters has one entry: its first step makes it, the later
 * ones, which know its id, add their counts to it. In the step's transaction, so that nothing is done that is not told.
 */
import { looksPersonal } from '../../events/personal-ids.ts'
import type { AuditEntry, AuditQuery } from '../audit.ts'
import type { DeadLetterFilter, PurgeRequest, ReplayRequest, ReplayStep } from '../store.ts'
import { query, type Steps } from './sql.ts'

export type AuditDetails = AuditEntry['details']

export interface AuditStep {
  /** The entry that the run's first step made; undefined at the first step. */
  readonly auditId: number | undefined
  readonly action: 'replay' | 'purge'
  readonly filter: DeadLetterFilter
  readonly counts: Readonly<Record<string, number>>
  readonly nowMs: number
}

export function replayStep(
  request: ReplayRequest,
  { replayed, duplicates, tooOld }: Pick<ReplayStep, 'replayed' | 'duplicates' | 'tooOld'>,
): AuditStep {
  const counts = { replayed, duplicates, too_old: tooOld }
  return { auditId: request.auditId, action: 'replay', filter: request, counts, nowMs: request.nowMs }
}

export function purgeStep(request: PurgeRequest, purged: number): AuditStep {
  return {
    auditId: request.auditId,
    action: 'purge',
    filter: request,
    counts: { purged },
    nowMs: request.nowMs,
  }
}

/** A first step's entry: the filter in the words of the admin port and nothing that the query holds besides. */
export function firstEntry({ action, filter, counts, nowMs }: AuditStep): Omit<AuditEntry, 'id'> {
  const { ids, adAccountId, isTest, status, reason, eventName, eventId, orderId } = filter
  const told = {
    ids,
    ad_account_id: adAccountId,
    test: isTest,
    status,
    reason,
    event_name: eventName,
    event_id: tellId(eventId),
    order_id: tellId(orderId),
  }
  return { atMs: nowMs, action, details: { filter: told, ...counts } }
}

/** Of an id that operators filter by: what looks like a customer's is kept nowhere in the clear. */
export function tellId(id: string | undefined): string | undefined {
  return id !== undefined && looksPersonal(id) ? '[personal]' : id
}

/** A later step's details: its counts added to those that stand there. In JSON, as the rows have them. */
export function addCounts(packed: string, { counts }: AuditStep): string {
  const details = JSON.parse(packed) as AuditDetails
  const sums = Object.entries(counts).map(([name, count]) => [name, Number(details[name]) + count])
  return JSON.stringify({ ...details, ...(Object.fromEntries(sums) as Record<string, number>) })
}

interface AuditRow {
  readonly id: number
  readonly at_ms: number
  readonly action: string
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
export function* countInAudit(step: AuditStep): Steps<number> {
  const { auditId } = step
  const [before] = yield* query<Pick<AuditRow, 'details'>>(
    'SELECT details FROM audit WHERE id = $1 FOR UPDATE',
    [auditId ?? 0],
  )
  if (auditId === undefined || before === undefined) return yield* addAudit(firstEntry(step))
  yield* query('UPDATE audit SET details = $1 WHERE id = $2', [addCounts(before.details, step), auditId])
  return auditId
}

export function* readAudit({ limit, beforeId = Number.MAX_SAFE_INTEGER }: AuditQuery): Steps<AuditEntry[]> {
  const rows = yield* query<AuditRow>('SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2', [
    beforeId,
    limit,
  ])
  return rows.map(({ id, at_ms: atMs, action, details }) => ({
    id,
    atMs,
    action,
    details: JSON.parse(details) as AuditDetails,
  }))
}
