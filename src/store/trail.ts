/**
 * The event trail, as the store's interface has it: what became of each event that was posted, found by its ids. Of
 * customer data nothing is in it: the ids are the sender's own, and those that may be personal are left out before (events/personal-ids.ts).
 */
import type { WithheldEvent } from '../events/prepare.ts'
import type { HistoryEntry, QueueKey } from './store.ts'

export const OUTCOMES = [
  'queued',
  'delivered',
  'rejected',
  'expired',
  'filtered',
  'duplicate',
  'invalid',
  'erased',
] as const
export type Outcome = (typeof OUTCOMES)[number]

/** One event of a post. What is null in `trailIds` neither trail nor dead letter may show. */
export interface PostedEvent extends Pick<WithheldEvent, 'eventName' | 'eventTimeS' | 'trailIds'> {
  /** `filtered`: the account does not want it sent; counted as durably as an event that is. */
  readonly status: 'prepared' | 'filtered' | 'invalid'
  /** Why it is filtered or invalid: a stable word. */
  readonly reason?: string | undefined
  readonly warnings: readonly { readonly code: string }[]
}

/** The call to Pinterest that an outcome comes from. */
export interface CallReference {
  readonly id: string
  readonly startedAtMs: number
}

/** An event of one post, and what became of it. A replayed dead letter is an event of its own, `reason` `replayed`. */
export interface TrailEvent extends QueueKey {
  readonly eventName: string | undefined
  readonly eventId: string | undefined
  readonly orderId: string | undefined
  readonly eventTimeS: number | undefined
  readonly outcome: Outcome
  readonly reason: string | undefined
  readonly warnings: readonly string[]
  readonly attempts: number
  readonly receivedAtMs: number
  readonly updatedAtMs: number
  readonly source: string | undefined
  readonly keyId: string | undefined
  readonly callId: string | undefined
  /** Its way: received, committed, failed calls, the last call, the outcome. Oldest first. */
  readonly history: readonly HistoryEntry[]
}

/** Which events; what is left out does not matter. */
export interface TrailFilter {
  readonly eventId?: string
  readonly orderId?: string
  readonly adAccountId?: string
  readonly isTest?: boolean
  readonly eventName?: string
  readonly outcome?: Outcome
  readonly source?: string
  /** Received from then on, and before. Milliseconds since the epoch. */
  readonly sinceMs?: number
  readonly untilMs?: number
}

export interface TrailQuery extends TrailFilter {
  readonly limit: number
  /** Where the page before ended. */
  readonly cursor?: string
}

export interface TrailPage {
  /** Newest first. Fewer than the limit say nothing: a search that takes long ends early. */
  readonly events: readonly TrailEvent[]
  /** Where the next page starts; undefined after the last. */
  readonly cursor: string | undefined
}

/** What was added or has changed since somebody asked last. */
export interface TrailChanges {
  readonly events: readonly TrailEvent[]
  /** To ask with next time. */
  readonly position: number
}

export interface EraseRequest {
  readonly eventId?: string
  readonly orderId?: string
  readonly adAccountId?: string
  readonly nowMs: number
}

export interface Erased {
  /** Events whose payload is gone: of the queue, and dead letters. */
  readonly queued: number
  readonly deadLetters: number
  /** Events that are leased, most likely in a call: they are delivered or wait again soon, and can be erased then. */
  readonly leased: number
}

export interface TrailStore {
  /** Events by their ids and more, newest first. Between replicas, newest to within some seconds. */
  events(query: TrailQuery): Promise<TrailPage>
  /** Of this process alone; without a position, where to begin. What nobody asks for in time is left out. */
  trailChanges(position: number | undefined): Promise<TrailChanges>
  /**
   * Deletes the payloads of events with these ids from the queue and from the dead letters. In the totals an event of the queue
   * counts as filtered then, and is not sent when it is posted again; a dead letter counts as what it was.
   */
  erase(request: EraseRequest): Promise<Erased>
}
