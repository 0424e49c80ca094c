/** What operators did, newest first. `details` is JSON of ids, filters and counts. */
import { addCounts, firstDetails, type AuditDetails, type AuditStep } from '../audit-steps.ts'
import type { AuditEntry, AuditQuery } from '../store.ts'
import type { Queryable } from './client.ts'

export async function addAudit(
  client: Queryable,
  { atMs, action, details }: Omit<AuditEntry, 'id'>,
): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    'INSERT INTO audit (at_ms, action, details) VALUES ($1, $2, $3) RETURNING id',
    [atMs, action, JSON.stringify(details)],
  )
  return rows[0]!.id
}

/** One step of a run over dead letters: the first one makes the entry, the later ones add their counts to it. */
export async function countInAudit(client: Queryable, step: AuditStep): Promise<number> {
  const { auditId, action, nowMs } = step
  const { rows } = await client.query<{ details: string }>(
    'SELECT details FROM audit WHERE id = $1 FOR UPDATE',
    [auditId ?? 0],
  )
  if (auditId === undefined || rows[0] === undefined) {
    return addAudit(client, { atMs: nowMs, action, details: firstDetails(step) })
  }
  const details = addCounts(JSON.parse(rows[0].details) as AuditDetails, step)
  await client.query('UPDATE audit SET details = $1 WHERE id = $2', [JSON.stringify(details), auditId])
  return auditId
}

export async function readAudit(
  client: Queryable,
  { limit, beforeId = Number.MAX_SAFE_INTEGER }: AuditQuery,
): Promise<AuditEntry[]> {
  const { rows } = await client.query<{ id: number; at_ms: number; action: string; details: string }>(
    'SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2',
    [beforeId, limit],
  )
  return rows.map(({ id, at_ms: atMs, action, details }) => ({
    id,
    atMs,
    action,
    details: JSON.parse(details) as AuditDetails,
  }))
}
