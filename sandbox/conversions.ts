/**
 * The conversions that were recorded, as counts per event id: enough to find lost events and events sent twice, small
 * enough for millions. Test calls are never recorded. Past `maxEventIds` new ids are only counted, as `uncounted`.
 */
import type { PinterestEvent } from './schema.ts'

export interface ConversionSummary {
  /** Conversions, repetitions included. */
  readonly recorded: number
  readonly distinct: number
  /** `recorded` − `distinct`: conversions that had been recorded before under the same event id. */
  readonly repeated: number
  /** Conversions that were recorded without a check for repeats. */
  readonly uncounted: number
}

export interface Conversions {
  record(adAccountId: string, event: PinterestEvent): void
  counts(adAccountId: string): ReadonlyMap<string, number>
  summary(adAccountId: string): ConversionSummary
  clear(): void
}

export function createConversions(maxEventIds: number): Conversions {
  const accounts = new Map<string, { readonly counts: Map<string, number>; uncounted: number }>()
  let eventIds = 0

  return {
    record(adAccountId, { event_id: eventId }) {
      let account = accounts.get(adAccountId)
      if (account === undefined) {
        account = { counts: new Map(), uncounted: 0 }
        accounts.set(adAccountId, account)
      }
      const count = account.counts.get(eventId)
      if (count !== undefined) {
        account.counts.set(eventId, count + 1)
      } else if (eventIds < maxEventIds) {
        account.counts.set(eventId, 1)
        eventIds += 1
      } else {
        account.uncounted += 1
      }
    },
    counts: (adAccountId) => accounts.get(adAccountId)?.counts ?? new Map(),
    summary(adAccountId) {
      const { counts, uncounted } = accounts.get(adAccountId) ?? { counts: new Map(), uncounted: 0 }
      let recorded = 0
      for (const count of counts.values()) recorded += count
      return {
        recorded: recorded + uncounted,
        distinct: counts.size,
        repeated: recorded - counts.size,
        uncounted,
      }
    },
    clear() {
      accounts.clear()
      eventIds = 0
    },
  }
}
