/** Which loads the contenders are put under. */
import type { PostKind } from './posts.ts'

export interface Scenario {
  readonly kind: PostKind
  readonly eventsPerPost: number
  readonly connections: number
  /** How long the sandbox waits with its answer. */
  readonly latencyMs: number
  readonly accounts: number
}

export function nameScenario({ kind, eventsPerPost, connections, latencyMs, accounts }: Scenario): string {
  const events = eventsPerPost === 1 ? '1 event' : `${eventsPerPost} events`
  const parts = [`${events} per post`, connections === 1 ? '1 connection' : `${connections} connections`]
  if (latencyMs > 0) parts.push(`Pinterest takes ${latencyMs} ms`)
  if (accounts > 1) parts.push(`${accounts} accounts`)
  if (kind === 'raw') parts.push('raw data')
  return parts.join(', ')
}

export const BASE: Scenario = {
  kind: 'hashed',
  eventsPerPost: 1,
  connections: 100,
  latencyMs: 0,
  accounts: 1,
}

/** Enough to see whether each target is met. */
export const SHORT: readonly Scenario[] = [
  BASE,
  { ...BASE, accounts: 100 },
  { ...BASE, connections: 1 },
  { ...BASE, eventsPerPost: 10 },
  { ...BASE, eventsPerPost: 100 },
  { ...BASE, eventsPerPost: 1000 },
  { ...BASE, kind: 'raw', eventsPerPost: 1000 },
]

/** One step from the base in each direction, and the corners that are worse than that. */
export const USUAL: readonly Scenario[] = [
  BASE,
  { ...BASE, kind: 'raw' },
  { ...BASE, accounts: 100 },
  { ...BASE, latencyMs: 100 },
  { ...BASE, connections: 1 },
  { ...BASE, connections: 1, latencyMs: 100 },
  { ...BASE, eventsPerPost: 10 },
  { ...BASE, eventsPerPost: 100 },
  { ...BASE, eventsPerPost: 1000, connections: 1 },
  { ...BASE, eventsPerPost: 1000 },
  { ...BASE, kind: 'raw', eventsPerPost: 1000 },
]

export const FULL: readonly Scenario[] = [
  ...[1, 10, 100, 1000].flatMap((eventsPerPost) =>
    [100, 1].flatMap((connections) =>
      [0, 100].flatMap((latencyMs) =>
        [1, 100].map((accounts) => ({ ...BASE, eventsPerPost, connections, latencyMs, accounts })),
      ),
    ),
  ),
  { ...BASE, kind: 'raw' },
  { ...BASE, kind: 'raw', connections: 1 },
  { ...BASE, kind: 'raw', eventsPerPost: 1000 },
]
