/**
 * The last minutes, hours and days of this process in steps: what the console draws. Kept whether the console is open or not,
 * so that a person who opens it at night sees what preceded an alert. Each step is the difference between two readings of the
 * metrics; accounts are not distinguished. A restart loses nothing, a crash a quarter of an hour at most. Replicas share one archive: who
 * starts continues with what the last one wrote.
 */
import { repeat, type Clock } from '../clock.ts'
import type { Metrics } from './metrics.ts'

/** One step, which ended at `at` seconds since the epoch. */
export type StatisticsSample = { readonly at: number } & Readonly<ReturnType<typeof compare>> & Waiting

/** Events on disk at the end of the step, and the age of the oldest; `queued` is undefined when the store did not answer. */
export interface Waiting {
  readonly queued: number | undefined
  readonly oldestAgeSeconds: number | undefined
}

export type RecentStatistics = ReturnType<typeof createRecentStatistics>

export const RANGES = {
  '15m': { stepMs: 5000, steps: 180 },
  '6h': { stepMs: 120_000, steps: 180 },
  '7d': { stepMs: 1_800_000, steps: 336 },
} as const
export type Range = keyof typeof RANGES
/** The shortest of the steps. */
const TICK_MS = 5000
const ARCHIVE_EVERY_MS = 900_000

/** Some hundred KiB. */
export interface StatisticsArchive {
  read(range: Range): readonly StatisticsSample[]
  /** All in one change: after each one every replica reads the vault again. */
  write(all: readonly { readonly range: Range; readonly kept: readonly StatisticsSample[] }[]): Promise<void>
}

/** By these labels; `eventCounts` is by outcome. */
const READ = { posts: 'status', calls: 'outcome', postSeconds: 'le', callSeconds: 'le' } as const
type Read = Pick<Metrics, keyof typeof READ | 'eventCounts'>

interface StatisticsOptions {
  readonly clock: Clock
  readonly metrics: Read
  /** What is queued now; a store that does not answer leaves a gap. */
  readonly waiting: () => Promise<Waiting>
  readonly archive: StatisticsArchive
}

export function createRecentStatistics({ clock, metrics, waiting, archive }: StatisticsOptions) {
  // What is in the future was counted by a clock that was ahead.
  const isIn = (range: Range, atS: number) => (sample: StatisticsSample) =>
    sample.at <= atS && sample.at >= atS - (RANGES[range].stepMs * RANGES[range].steps) / 1000
  const series = (Object.keys(RANGES) as Range[]).map((range) => ({
    range,
    kept: archive.read(range).filter(isIn(range, clock.wallMs() / 1000)),
    before: new Map() as Reading,
    dueMs: clock.monotonicMs() + RANGES[range].stepMs,
  }))
  let archiveDueMs = clock.monotonicMs() + ARCHIVE_EVERY_MS
  const cancel = repeat(clock, TICK_MS, () => takeStep(false))

  /** Takes a step of the series that are due, or of all. */
  async function takeStep(isLast: boolean): Promise<void> {
    const at = clock.wallMs() / 1000
    const asked = waiting().catch((): Waiting => ({ queued: undefined, oldestAgeSeconds: undefined }))
    const [now, queued] = await Promise.all([readAll(metrics), asked])
    const nowMs = clock.monotonicMs()
    for (const one of series.filter(({ dueMs }) => isLast || dueMs <= nowMs)) {
      const { stepMs, steps } = RANGES[one.range]
      one.kept.push({ at, ...compare(one.before, now), ...queued })
      one.kept = one.kept.slice(-steps).filter(isIn(one.range, at))
      one.before = now
      one.dueMs = nowMs + stepMs
    }
    if (!isLast && archiveDueMs > nowMs) return
    archiveDueMs = nowMs + ARCHIVE_EVERY_MS
    // What cannot be written is written with the next.
    await archive.write(series).catch(() => {})
  }

  return {
    /** Those after `afterS`, oldest first. */
    samples(afterS: number, range: Range = '15m'): readonly StatisticsSample[] {
      return series.find((one) => one.range === range)!.kept.filter(({ at }) => at > afterS)
    },
    /** Takes the step that is not over, and archives. */
    async close(): Promise<void> {
      cancel()
      await takeStep(true)
    },
  }
}

/** Each counter's and bucket's value. */
type Reading = ReadonlyMap<keyof Read, ReadonlyMap<string, number>>

async function readAll(metrics: Read): Promise<Reading> {
  const read = Object.entries(READ).map(async ([key, name]) => {
    const { values } = await metrics[key as keyof typeof READ].get()
    // A histogram's sum and count have no label; its count is that of the last bucket, too.
    const labelled = values.flatMap(({ labels, value }) => {
      const label = (labels as Readonly<Record<string, string | number>>)[name]
      return label === undefined ? [] : [[String(label), value] as const]
    })
    return [key as keyof Read, new Map(labelled)] as const
  })
  return new Map([['eventCounts', new Map(metrics.eventCounts)], ...(await Promise.all(read))])
}

/** Counts are of the step, not per second; durations are in seconds, undefined where nothing happened. */
function compare(before: Reading, now: Reading) {
  const risesOf = (key: keyof Read) => {
    const was = before.get(key)
    return Array.from(now.get(key)!, ([label, value]) => [label, value - (was?.get(label) ?? 0)] as const)
  }
  const rise = (key: keyof Read, isMeant: (label: string) => boolean) =>
    risesOf(key).reduce((sum, [label, value]) => sum + (isMeant(label) ? value : 0), 0)
  const events = (outcome: string) => rise('eventCounts', (label) => label === outcome)
  const percentile = (key: keyof Read, share: number) => {
    const buckets = risesOf(key).map(
      ([bound, count]) => [bound === '+Inf' ? Infinity : Number(bound), count] as const,
    )
    const value = percentileOf(buckets, share)
    return value === undefined ? undefined : Number(value.toPrecision(3))
  }
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
    postP50Seconds: percentile('postSeconds', 0.5),
    postP99Seconds: percentile('postSeconds', 0.99),
    callP99Seconds: percentile('callSeconds', 0.99),
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
