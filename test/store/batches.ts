/** Batches for the store's tests: small, and with times that are easy to read. */
import type {
  DeadEvent,
  HistoryEntry,
  QueueKey,
  LeaseRequest,
  NewBatch,
  Store,
} from '../../src/store/store.ts'
import { dedupeKeys } from '../../src/store/core/sealed.ts'
import type { PostedEvent, TrailEvent, TrailFilter } from '../../src/store/trail.ts'
import { joinEvents, postedAs } from '../support/payload.ts'

export const NOW_MS = 1_700_000_000_000
export const NOW_S = NOW_MS / 1000
export const LIVE: QueueKey = { adAccountId: '549755885175', isTest: false }
export const TEST: QueueKey = { ...LIVE, isTest: true }

export interface BatchOptions extends Partial<QueueKey> {
  readonly eventTimesS?: readonly number[]
  readonly receivedAtMs?: number
  readonly invalidCount?: number
  readonly filteredCount?: number
}

/** One event per id. */
export function makeBatch(eventIds: readonly string[], options: BatchOptions = {}): NewBatch {
  const eventTimesS = eventIds.map((_, index) => options.eventTimesS?.[index] ?? NOW_S)
  const queue = { adAccountId: options.adAccountId ?? LIVE.adAccountId, isTest: options.isTest ?? false }
  const identities = eventIds.map((eventId, index) => ({
    eventName: 'checkout',
    eventId,
    eventTimeS: eventTimesS[index]!,
  }))
  const { invalidCount = 0, filteredCount = 0 } = options
  return {
    ...queue,
    payload: joinEvents(eventIds.map((eventId, index) => makeEvent(eventId, eventTimesS[index]))),
    events: [
      ...identities.map(postedAs),
      ...Array.from({ length: invalidCount }, () => ({ ...WITHHELD, status: 'invalid' as const })),
      ...Array.from({ length: filteredCount }, () => ({ ...WITHHELD, status: 'filtered' as const })),
    ],
    keys: dedupeKeys(queue, identities),
    receivedAtMs: options.receivedAtMs ?? NOW_MS,
  }
}

const WITHHELD = {
  eventName: undefined,
  trailIds: { eventId: undefined, orderId: undefined },
  eventTimeS: undefined,
  warnings: [],
}

/** A post as the engine makes it: these events, and beside them what it found invalid or filtered. */
export function makePost(
  eventIds: readonly string[],
  options: BatchOptions & {
    readonly beside?: readonly PostedEvent[]
    readonly orderIds?: readonly string[]
  } = {},
): NewBatch {
  const { beside = [], orderIds = [] } = options
  const batch = makeBatch(eventIds, options)
  const events = batch.events.map((event, index): PostedEvent => {
    return { ...event, trailIds: { ...event.trailIds, orderId: orderIds[index] } }
  })
  return { ...batch, keyId: 'key-1', events: [...events, ...beside] }
}

export function makeEvent(eventId: string, eventTimeS = NOW_S): string {
  return JSON.stringify({
    event_name: 'checkout',
    event_time: eventTimeS,
    event_id: eventId,
    user_data: { ip: '203.0.113.7' },
  })
}

export function makeDead(
  index: number,
  status: DeadEvent['status'] = 'rejected',
  history: readonly HistoryEntry[] = [],
): DeadEvent {
  return { index, status, reason: 'invalid_value', message: 'Invalid value.', attempts: 1, history }
}

/** All that waits, unless told otherwise. */
export function askAll(options: Partial<LeaseRequest> = {}): LeaseRequest {
  return { ...LIVE, maxEvents: 100_000, maxBytes: 100_000_000, nowMs: NOW_MS, ...options }
}

/** All of it: a search that takes long answers what it has found, with a cursor. */
export async function readTrail(store: Store, filter: TrailFilter = {}): Promise<readonly TrailEvent[]> {
  const found: TrailEvent[] = []
  let cursor: string | undefined
  do {
    const page = await store.events({ ...filter, limit: 100_000, ...(cursor !== undefined && { cursor }) })
    found.push(...page.events)
    cursor = page.cursor
  } while (cursor !== undefined)
  return found
}
