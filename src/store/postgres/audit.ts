/** What operators did, newest first. */
import { addCounts, firstEntry, toAuditEntry, type AuditRow, type AuditStep } from '../core/audit.ts'
import type { AuditEntry, AuditQuery } from '../audit.ts'
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

/** One step of a run over dead letters. */
export async function countInAudit(client: Queryable, step: AuditStep): Promise<number> {
  const { auditId } = step
  const { rows } = await client.query<Pick<AuditRow, 'details'>>(
    'SELECT details FROM audit WHERE id = $1 FOR UPDATE',
    [auditId ?? 0],
  )
  if (auditId === undefined || rows[0] === undefined) return addAudit(client, firstEntry(step))
  const details = addCounts(rows[0].details, step)
  await client.query('UPDATE audit SET details = $1 WHERE id = $2', [details, auditId])
  return auditId
}

export async function readAudit(
  client: Queryable,
  { limit, beforeId = Number.MAX_SAFE_INTEGER }: AuditQuery,
): Promise<AuditEntry[]> {
  const { rows } = await client.query<AuditRow>(
    'SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2',
    [beforeId, limit],
  )
  return rows.map(toAuditEntry)
}
