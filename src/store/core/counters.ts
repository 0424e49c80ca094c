/** The counters of each queue: events by outcome, batches and bytes. Columns in both engines. */
import type { Totals } from '../store.ts'

export const COUNTERS = [
  'received',
  'delivered',
  'rejected',
  'expired',
  'filtered',
  'queued',
  'duplicate',
  'invalid',
  'batches',
  'bytes',
  'dead_bytes',
  'trail_bytes',
] as const

export type Counter = (typeof COUNTERS)[number]
export type Counts = Readonly<Record<Counter, number>>
export type Changes = Partial<Counts>

export function makeCounts(): Record<Counter, number> {
  return Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>
}

export function addChanges(counts: Record<Counter, number>, changes: Changes): void {
  for (const name in changes) counts[name as Counter] += changes[name as Counter]!
}

export function toTotals(row: Counts): Totals {
  const { batches: _, bytes: __, dead_bytes: ___, trail_bytes: ____, ...totals } = row
  return totals
}
