/**
 * A post's way through the relay, once its events are prepared: the good ones are committed as one parcel, and the answer
 * tells of each event what is known when it leaves.
 */
import type { Clock } from '../clock.ts'
import type { Prepared } from '../event/prepare.ts'
import { renderWarnings } from '../event/warning.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { EventOutcome } from '../delivery/parcel.ts'
import type { Metrics } from '../metrics.ts'
import { joinInSteps, omitEvents } from '../store/payload.ts'
import type { HistoryEntry, LaneKey, Store } from '../store/store.ts'
import type { PostTrace } from '../tracing/tracing.ts'
import {
  answerPost,
  joinMessages,
  PROCESSED,
  QUEUED_WARNING,
  type EventAnswer,
  type PostAnswer,
} from './answer.ts'
import { inTurns } from './in-turns.ts'

export interface RelayEventsOptions {
  readonly store: Store
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
}

export interface Post extends LaneKey {
  /** One entry per event, in the order of the post. Nothing raw is kept while the post waits. */
  readonly prepared: readonly Prepared[]
  /** 0: answer as soon as the parcel is committed. */
  readonly waitMs: number
  readonly trace: PostTrace
}

/** What became of a post, for its answer and its log line. */
export interface Relayed extends PostAnswer {
  readonly events: number
  readonly refused: number
  readonly duplicates: number
  readonly queued: number
  readonly rejected: number
}

type PreparedEvent = Extract<Prepared, { status: 'prepared' }>

/** Rejects with STORE_UNAVAILABLE if nothing could be taken. */
export type RelayEvents = (post: Post) => Promise<Relayed>

export function createRelayEvents(options: RelayEventsOptions): RelayEvents {
  const { store, delivery, metrics, clock } = options

  return async ({ adAccountId, isTest, prepared, waitMs, trace }) => {
    const nowMs = clock.wallMs()
    const good = prepared.filter((event): event is PreparedEvent => event.status === 'prepared')
    const refused = prepared.length - good.length
    metrics.events('refused', refused)

    const lane = { adAccountId, isTest }
    let pendingDuplicates = 0
    const outcomes = good.length > 0 ? await relay() : []
    // Only a count: it shares the next commit, and the answer does not depend on it.
    if (good.length === 0) void store.countRefused(lane, refused).catch(() => undefined)
    let next = 0
    const answers = prepared.map((event) =>
      event.status === 'prepared' ? tell(event, outcomes[next++]!) : tellRefused(event),
    )
    // What repeats an event that still waits is no more delivered than that one.
    const queued = countOf(outcomes, 'queued') + pendingDuplicates
    const { status, body } = answerPost(answers, queued)
    return {
      status,
      body,
      events: prepared.length,
      refused,
      queued,
      duplicates: countOf(outcomes, 'duplicate'),
      rejected: countOf(outcomes, 'rejected'),
    }

    /** Commits the good events and waits for Pinterest's word; one outcome for each of them. */
    async function relay(): Promise<readonly Told[]> {
      const payload = await inTurns(joinInSteps(good.map(({ json }) => json)))
      const beganMs = clock.monotonicMs()
      const endCommit = trace.stage('commit')
      let receipt
      try {
        receipt = await store.commit({
          ...lane,
          payload,
          events: good,
          refusedCount: refused,
          receivedAtMs: nowMs,
        })
      } finally {
        endCommit()
      }
      metrics.stage('commit', (clock.monotonicMs() - beganMs) / 1000)
      const { parcelId, duplicates } = receipt
      pendingDuplicates = receipt.pendingDuplicates
      metrics.events('duplicate', duplicates.length)
      if (parcelId === undefined) return good.map(() => DUPLICATE)
      if (duplicates.length === 0) return await deliver(parcelId, payload, good)
      const doubled = new Set(duplicates)
      const stored = good.filter((_, index) => !doubled.has(index))
      const told = await deliver(parcelId, omitEvents(payload, duplicates)!, stored)
      let place = 0
      return good.map((_, index) => (doubled.has(index) ? DUPLICATE : told[place++]!))
    }

    async function deliver(parcelId: number, payload: Uint8Array, stored: readonly PreparedEvent[]) {
      const parcel = {
        adAccountId,
        isTest,
        parcelId,
        payload,
        eventCount: stored.length,
        settled: NONE_SETTLED,
        oldestEventTimeS: stored.reduce((oldest, { eventTimeS }) => Math.min(oldest, eventTimeS), Infinity),
        receivedAtMs: nowMs,
        attempts: 0,
        isReplay: false,
        history: NO_HISTORY,
      }
      const beganMs = clock.monotonicMs()
      const outcomes = await delivery.deliver(parcel, waitMs, trace)
      if (waitMs > 0) metrics.stage('verdict', (clock.monotonicMs() - beganMs) / 1000)
      return outcomes
    }
  }
}

type Told = EventOutcome | { readonly status: 'duplicate' }
const DUPLICATE: Told = { status: 'duplicate' }
const NONE_SETTLED: readonly number[] = []
const NO_HISTORY: readonly HistoryEntry[] = []

function countOf(outcomes: readonly Told[], status: Told['status']): number {
  return outcomes.filter((outcome) => outcome.status === status).length
}

function tell({ warnings }: PreparedEvent, outcome: Told): EventAnswer {
  const own = warnings.length === 0 ? '' : renderWarnings(warnings)
  switch (outcome.status) {
    case 'delivered':
      if (own === '' && outcome.warningMessage === '') return PROCESSED
      return processed(joinMessages(outcome.warningMessage, own))
    case 'queued':
      return processed(joinMessages(QUEUED_WARNING, own))
    case 'duplicate':
      return processed(joinMessages('duplicate', own))
    case 'rejected':
    case 'expired':
      return {
        status: 'failed',
        error_message: outcome.errorMessage || 'Pinterest refused the event without a reason.',
        warning_message: joinMessages(outcome.warningMessage, own),
      }
  }
}

function processed(warning_message: string): EventAnswer {
  return { status: 'processed', error_message: '', warning_message }
}

function tellRefused({ message, warnings }: Extract<Prepared, { status: 'refused' }>): EventAnswer {
  return { status: 'failed', error_message: message, warning_message: renderWarnings(warnings) }
}
