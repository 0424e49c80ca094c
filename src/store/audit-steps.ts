/** What one step of a run over dead letters leaves in the audit trail, the same in both stores. */
import type { AuditEntry, DeadLetterFilter } from './store.ts'

export type AuditDetails = AuditEntry['details']

export interface AuditStep {
  /** The entry that the run's first step made; undefined at the first step. */
  readonly auditId: number | undefined
  readonly action: 'replay' | 'purge'
  readonly filter: DeadLetterFilter
  readonly counts: Readonly<Record<string, number>>
  readonly nowMs: number
}

/** A first step's entry: the filter in the words of the admin port and nothing that the query holds besides. */
export function firstDetails({ filter, counts }: AuditStep): AuditDetails {
  const { ids, adAccountId, isTest, status, reason, eventName } = filter
  const told = { ids, ad_account_id: adAccountId, test: isTest, status, reason, event_name: eventName }
  return { filter: told, ...counts }
}

/** A later step's entry: its counts added to those that stand there. */
export function addCounts(details: AuditDetails, { counts }: AuditStep): AuditDetails {
  const sums = Object.entries(counts).map(([name, count]) => [name, Number(details[name]) + count])
  return { ...details, ...(Object.fromEntries(sums) as Record<string, number>) }
}
