/** Lanes as rows name them. */
import type { LaneKey } from '../store.ts'

export interface LaneRow {
  readonly ad_account_id: string
  readonly is_test: boolean
}

export function toLane({ ad_account_id: adAccountId, is_test: isTest }: LaneRow): LaneKey {
  return { adAccountId, isTest }
}

export function uniqueLanes(rows: readonly LaneRow[]): LaneKey[] {
  return [...new Map(rows.map((row) => [`${row.is_test} ${row.ad_account_id}`, toLane(row)])).values()]
}
