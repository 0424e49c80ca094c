/**
 * A post's way through the relay, once its events are prepared: the good ones are committed as one batch, and the answer
 * tells of each event what is known when it leaves.
 */
import type { Clock } from '../clock.ts'
import type { Prepared } from '../events/prepare.ts'
import { renderWarnings } from '../events/warning.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { EventOutcome } from '../delivery/batch.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { joinInSteps } from '../store/payload.ts'
import type { LeasedBatch, QueueKey, Store } from '../store/store.ts'
import type { PostTrace } from '../telemetry/tracing.ts'
import {
  answerPost,
  joinMessages,
  PROCESSED,
  QUEUED_WARNING,
  type EventAnswer,
  type PostAnswer,
} from './answer.ts'
import { inTimeSlices } from './in-time-slices.ts'

export interface RelayEventsOptions {
  readonly store: Store
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly clock: Pick<Clock, 'wallMs' | 'monotonicMs'>
}

export interface Post extends QueueKey {
  /** One entry per event, in the order of the post. Nothing raw is kept while the post waits. */
  readonly prepared: readonly Prepared[]
  /** 0: answer as soon as the batch is committed. */
  readonly waitMs: number
  readonly trace: PostTrace
}

/** What became of a post, for its answer and its log line. */
export interface Relayed extends PostAnswer {
  readonly events: number
  readonly invalid: number
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
    const invalid = prepared.length - good.length
    metrics.events.inc({ outcome: 'invalid' }, invalid)

    const queue = { adAccountId, isTest }
    let pendingDuplicates = 0
    const outcomes = good.length > 0 ? await relay() : []
    // Only a count: it shares the next commit, and the answer does not depend on it.
    if (good.length === 0) void store.countInvalid(queue, invalid).catch(() => undefined)
    let next = 0
    const answers = prepared.map((event) =>
      event.status === 'prepared' ? tell(event, outcomes[next++]!) : answerInvalid(event),
    )
    // What repeats an event that still waits is no more delivered than that one.
    const queued = countOf(outcomes, 'queued') + pendingDuplicates
    const { status, body } = answerPost(answers, queued)
    return {
      status,
      body,
      events: prepared.length,
      invalid,
      queued,
      duplicates: countOf(outcomes, 'duplicate'),
      rejected: countOf(outcomes, 'rejected'),
    }

    /** Commits the good events and waits for Pinterest's word; one outcome for each of them. */
    async function relay(): Promise<readonly Told[]> {
      const payload = await inTimeSlices(joinInSteps(good.map(({ json }) => json)))
      const beganMs = clock.monotonicMs()
      const endCommit = trace.stage('commit')
      let receipt
      try {
        receipt = await store.commit({
          ...queue,
          payload,
          events: good,
          invalidCount: invalid,
          receivedAtMs: nowMs,
        })
      } finally {
        endCommit()
      }
      metrics.stage('commit', (clock.monotonicMs() - beganMs) / 1000)
      const { batch, duplicates } = receipt
      pendingDuplicates = receipt.pendingDuplicates
      metrics.events('duplicate', duplicates.length)
      const told = batch === undefined ? [] : await deliver(batch)
      if (duplicates.length === 0) return told
      const doubled = new Set(duplicates)
      let place = 0
      return good.map((_, index) => (doubled.has(index) ? DUPLICATE : told[place++]!))
    }

    async function deliver(batch: LeasedBatch): Promise<readonly EventOutcome[]> {
      const beganMs = clock.monotonicMs()
      const outcomes = await delivery.deliver(batch, waitMs, trace)
      if (waitMs > 0)
        metrics.postStageSeconds.observe({ stage: 'outcome' }, (clock.monotonicMs() - beganMs) / 1000)
      return outcomes
    }
  }
}

type Told = EventOutcome | { readonly status: 'duplicate' }
const DUPLICATE: Told = { status: 'duplicate' }

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

function answerInvalid({ message, warnings }: Extract<Prepared, { status: 'invalid' }>): EventAnswer {
  return { status: 'failed', error_message: message, warning_message: renderWarnings(warnings) }
}
