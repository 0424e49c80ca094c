/** The history of an event or a batch in one column: null while it is empty, as nearly all are. */
import { HISTORY_LIMIT, type HistoryEntry } from '../store.ts'

export function packHistory(history: readonly HistoryEntry[]): string | null {
  if (history.length === 0) return null
  return JSON.stringify(history.slice(-HISTORY_LIMIT).map(({ atMs, reason }) => [atMs, reason]))
}

export function unpackHistory(packed: string | null): HistoryEntry[] {
  if (packed === null) return []
  return (JSON.parse(packed) as [atMs: number, reason: string][]).map(([atMs, reason]) => ({ atMs, reason }))
}
