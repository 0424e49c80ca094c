/**
 * The last half hour of this process in steps of a few seconds: what the console draws. In memory, and whether the console is
 * open or not, so that a person who opens it at night sees what led to an alert. Each step is the difference between
 * two readings of the metrics; accounts are not told apart.
 */
import type { Clock } from '../clock.ts'
import type { Metrics } from './metrics.ts'

/** One step, which ended at `atS` seconds since the epoch. */
export type StatisticsSample = { readonly atS: number } & Readonly<ReturnType<typeof compare>> & Waiting

/** Events on disk at the end of the step, and the age of the oldest; `queued` is undefined when the store did not answer. */
export interface Waiting {
  readonly queued: number | undefined
  readonly oldestAgeS: number | undefined
}

export interface RecentStatistics {
  /** Those after `afterS`, oldest first. */
  samples(afterS: number): readonly StatisticsSample[]
  close(): void
}

export const STEP_MS = 5000
const SAMPLES_KEPT = 360

type Read = Pick<Metrics, 'posts' | 'events' | 'calls' | 'postSeconds' | 'callSeconds'>

/** `waiting`: what is queued now; a store that does not answer leaves a gap. */
export function createRecentStatistics({
  clock,
  metrics,
  waiting,
}: {
  readonly clock: Clock
  readonly metrics: Read
  readonly waiting: () => Promise<Waiting>
}): RecentStatistics {
  const kept: StatisticsSample[] = []
  let before: Reading = new Map()
  let isClosed = false
  let cancel = clock.after(STEP_MS, step)

  function step(): void {
    const atS = clock.wallMs() / 1000
    const asked = waiting().catch((): Waiting => ({ queued: undefined, oldestAgeS: undefined }))
    void Promise.all([readAll(metrics), asked]).then(([now, queued]) => {
      kept.push({ atS, ...compare(before, now), ...queued })
      before = now
      if (kept.length > SAMPLES_KEPT) kept.shift()
      if (!isClosed) cancel = clock.after(STEP_MS, step)
    })
  }

  return {
    samples: (afterS) => kept.filter(({ atS }) => atS > afterS),
    close() {
      isClosed = true
      cancel()
    },
  }
}

/** Each counter's and bucket's value, by its metric and then by its one label. */
type Reading = ReadonlyMap<keyof Read, ReadonlyMap<string, number>>

async function readAll({ posts, events, calls, postSeconds, callSeconds }: Read): Promise<Reading> {
  const read = Object.entries({ posts, events, calls, postSeconds, callSeconds }).map(
    async ([key, metric]) => {
      const { values } = await metric.get()
      // A histogram's sum and count have no label; its count is that of the last bucket, too.
      const labelled = values.flatMap(({ labels, value }) => {
        const [label] = Object.values(labels)
        return label === undefined ? [] : [[String(label), value] as const]
      })
      return [key as keyof Read, new Map(labelled)] as const
    },
  )
  return new Map(await Promise.all(read))
}

/** Counts are of the step, not per second; durations are in seconds, undefined where nothing happened. */
function compare(before: Reading, now: Reading) {
  const rise = (key: keyof Read, isMeant: (label: string) => boolean) => {
    let sum = 0
    for (const [label, value] of now.get(key)!) {
      if (isMeant(label)) sum += value - (before.get(key)?.get(label) ?? 0)
    }
    return sum
  }
  const events = (outcome: string) => rise('events', (label) => label === outcome)
  const percentile = (key: keyof Read, share: number) =>
    percentileOf(
      Array.from(now.get(key)!, ([bound]) => [
        bound === '+Inf' ? Infinity : Number(bound),
        rise(key, (label) => label === bound),
      ]),
      share,
    )
  return {
    posts: rise('posts', () => true),
    /** Posts answered with 429 or 5xx: nothing of them was taken. */
    turnedAway: rise('posts', (status) => status === '429' || Number(status) >= 500),
    delivered: events('delivered'),
    rejected: events('rejected'),
    expired: events('expired'),
    filtered: events('filtered'),
    invalid: events('invalid'),
    duplicate: events('duplicate'),
    calls: rise('calls', () => true),
    callsFailed: rise('calls', (outcome) => outcome !== '200' && outcome !== '422'),
    postP50S: percentile('postSeconds', 0.5),
    postP99S: percentile('postSeconds', 0.99),
    callP99S: percentile('callSeconds', 0.99),
  }
}

/**
 * As Prometheus' `histogram_quantile` computes it, from cumulative counts by upper bound: right within the bucket. `share` of 1;
 * undefined when nothing was observed, the highest bound for what is beyond it.
 */
export function percentileOf(
  buckets: readonly (readonly [upperBound: number, count: number])[],
  share: number,
): number | undefined {
  const [, total = 0] = buckets.at(-1) ?? []
  if (total === 0) return undefined
  const rank = share * total
  let lower = 0
  let below = 0
  for (const [upper, count] of buckets) {
    if (count >= rank)
      return upper === Infinity ? lower : lower + ((upper - lower) * (rank - below)) / (count - below)
    lower = upper
    below = count
  }
  return lower
}
