/** What is counted of each queue: events by outcome, and what it holds in batches and bytes. Columns of both engines. */
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
] as const

export type Counter = (typeof COUNTERS)[number]
