/** The counters of each queue: events by outcome, batches and bytes. Columns in both engines. */
import type { QueueKey, Totals } from '../store.ts'
import { nameOfQueue } from './rows.ts'

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

const ZEROS = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<Counter, number>

export function makeCounts(): Record<Counter, number> {
  return { ...ZEROS }
}

export function addChanges(counts: Record<Counter, number>, changes: Changes): void {
  for (const name in changes) counts[name as Counter] += changes[name as Counter]!
}

export function toTotals(row: Counts): Totals {
  const { batches: _, bytes: __, dead_bytes: ___, trail_bytes: ____, ...totals } = row
  return totals
}

/** Gathers what a transaction counts, to be written by one statement at its end, with the rows that it counts. */
export interface TotalCounts {
  readonly count: (queue: QueueKey, changes: Changes) => void
  /** Counted, but not taken yet. */
  readonly sum: (counter: Counter) => number
  /** Begins anew. */
  readonly take: () => (readonly [QueueKey, Counts])[]
}

export function createTotalCounts(): TotalCounts {
  const counted = new Map<string, readonly [QueueKey, Record<Counter, number>]>()
  return {
    count(queue, changes) {
      const name = nameOfQueue(queue)
      let entry = counted.get(name)
      if (entry === undefined) counted.set(name, (entry = [queue, makeCounts()]))
      addChanges(entry[1], changes)
    },
    sum: (counter) => [...counted.values()].reduce((all, [, counts]) => all + counts[counter], 0),
    take() {
      const taken = [...counted.values()]
      counted.clear()
      return taken
    },
  }
}
