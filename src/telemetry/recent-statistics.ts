/**
 * The last half hour of this process in steps of a few seconds: what the console draws. In memory, and whether somebody
 * looks or not, so that a person who opens the console at night sees what led to it. No account is told apart.
 */
import type { Clock } from '../clock.ts'
import type { Metrics } from './metrics.ts'
import { createDurations } from './percentiles.ts'

/** One step. Counts are of the step, not per second; durations are in seconds, undefined where nothing happened. */
export interface StatisticsSample {
  /** When the step ended, in seconds since the epoch. */
  readonly atS: number
  readonly posts: number
  /** Posts answered with a 429 or 5xx: nothing of them was taken. */
  readonly turnedAway: number
  readonly delivered: number
  readonly rejected: number
  readonly expired: number
  readonly invalid: number
  readonly duplicate: number
  readonly calls: number
  readonly callsFailed: number
  readonly postP50S: number | undefined
  readonly postP99S: number | undefined
  readonly callP99S: number | undefined
  /** Events that waited at the end of the step. */
  readonly queued: number | undefined
  /** Of the oldest event that waited then. */
  readonly oldestAgeS: number | undefined
}

export interface Waiting {
  readonly queued: number
  readonly oldestAgeS: number | undefined
}

export interface RecentStatistics {
  /** The same metrics, which this takes part in from then on. */
  listenTo(metrics: Metrics): Metrics
  /** Those after `afterS`, oldest first. */
  samples(afterS: number): readonly StatisticsSample[]
  close(): void
}

export const STEP_MS = 5000
const SAMPLES_KEPT = 360

const NOTHING = {
  posts: 0,
  turnedAway: 0,
  delivered: 0,
  rejected: 0,
  expired: 0,
  invalid: 0,
  duplicate: 0,
  calls: 0,
  callsFailed: 0,
}

/** `waiting`: what is queued now; a store that does not answer leaves a gap. */
export function createRecentStatistics({
  clock,
  waiting,
}: {
  readonly clock: Clock
  readonly waiting: () => Promise<Waiting>
}): RecentStatistics {
  const kept: StatisticsSample[] = []
  const posts = createDurations()
  const calls = createDurations()
  let counts = { ...NOTHING }
  let isClosed = false
  let cancel = clock.after(STEP_MS, step)

  function step(): void {
    const measured = {
      ...counts,
      postP50S: posts.percentile(0.5),
      postP99S: posts.percentile(0.99),
      callP99S: calls.percentile(0.99),
    }
    const atS = clock.wallMs() / 1000
    counts = { ...NOTHING }
    posts.clear()
    calls.clear()
    const look = waiting().catch(() => ({ queued: undefined, oldestAgeS: undefined }))
    void look.then((now) => {
      kept.push({ atS, ...measured, ...now })
      if (kept.length > SAMPLES_KEPT) kept.shift()
      if (!isClosed) cancel = clock.after(STEP_MS, step)
    })
  }

  return {
    listenTo: (metrics) => ({
      ...metrics,
      postAnswered(status, seconds) {
        metrics.postAnswered(status, seconds)
        counts.posts += 1
        if (status === 429 || status >= 500) counts.turnedAway += 1
        posts.note(seconds)
      },
      events(outcome, count) {
        metrics.events(outcome, count)
        counts[outcome] += count
      },
      call(outcome, seconds, events) {
        metrics.call(outcome, seconds, events)
        counts.calls += 1
        if (outcome !== '200' && outcome !== '422') counts.callsFailed += 1
        calls.note(seconds)
      },
    }),
    samples: (afterS) => kept.filter(({ atS }) => atS > afterS),
    close() {
      isClosed = true
      cancel()
    },
  }
}
