/**
 * What the console looks at every few seconds: whether posts are taken, the last half hour in steps, what is stored, and the
 * queues that matter most right now. Of this process; with several relays each has its own.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { urgencyOf, type QueueState } from '../delivery/queue-state.ts'
import { STEP_MS, type StatisticsSample } from '../telemetry/recent-statistics.ts'
import type { QueueBacklog, QueueKey, StoreSize } from '../store/store.ts'
import { AdAccountId, answers, closed, Count, orNull } from './answers.ts'
import type { AdminOptions } from './app.ts'
import { QueueStatus } from './account-view.ts'
import { TotalsAnswer } from './totals.ts'

const Query = Type.Object(
  {
    /** Only steps that ended after this, in seconds since the epoch. */
    since: Type.Optional(Type.String({ pattern: '^\\d{1,12}(\\.\\d{1,6})?$' })),
  },
  { additionalProperties: false },
)

const seconds = () => orNull(Type.Number({ minimum: 0 }))
const Sample = Type.Object(
  {
    at: Type.Number({ description: 'When the step ended, in seconds since the epoch.' }),
    posts: Count,
    turned_away: Type.Integer({ minimum: 0, description: 'Answered with 429 or 5xx.' }),
    delivered: Count,
    rejected: Count,
    expired: Count,
    invalid: Count,
    duplicate: Count,
    calls: Count,
    calls_failed: Count,
    post_p50_seconds: seconds(),
    post_p99_seconds: seconds(),
    call_p99_seconds: seconds(),
    queued: orNull(Count),
    oldest_age_seconds: seconds(),
  },
  closed,
)

const Bucket = Type.Object(
  { level: orNull(Type.Integer({ description: 'Null before the first use.' })), capacity: Count },
  closed,
)
const Queue = Type.Object(
  {
    ad_account_id: AdAccountId,
    label: Type.String(),
    test: Type.Boolean(),
    status: QueueStatus,
    next_try_in_seconds: orNull(Count),
    calls_in_flight: Count,
    queued: Count,
    oldest_age_seconds: orNull(Count),
    call_limiter: Bucket,
    post_limiter: Bucket,
  },
  closed,
)

const Answer = Type.Object(
  {
    at: Type.Number(),
    problem: orNull(Type.Enum(['shutting_down', 'store_unavailable', 'store_full'])),
    step_seconds: Type.Number(),
    samples: Type.Array(Sample),
    totals: orNull(TotalsAnswer),
    store: orNull(Type.Object({ used_bytes: Count, disk_free_bytes: Count, full: Type.Boolean() }, closed)),
    calls_in_flight: Count,
    accounts: Count,
    queue_count: Count,
    queues_standing: Type.Integer({
      minimum: 0,
      description: 'Of all queues, those that wait for a person.',
    }),
    queues: Type.Array(Queue),
  },
  closed,
)

const schema = {
  tags: ['insight'],
  summary: 'The last half hour of this process in steps, and the queues that matter most',
  querystring: Query,
  response: answers({ 200: Answer }),
}

/** More than a person reads; metrics have a thousand. */
const QUEUES_SHOWN = 200

export const liveRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, options) => {
  const { vault, delivery, recentStatistics, takeSnapshot, readiness, clock } = options

  app.get('/live', { schema }, async (request) => {
    const nowS = clock.wallMs() / 1000
    // A store that is away must not take the page away that tells of it.
    const stored = await takeSnapshot().catch(() => undefined)
    const queues = queuesNow(delivery.queues(), stored?.backlog ?? []).filter(
      ({ key }) => vault.account(key.adAccountId) !== undefined,
    )
    return {
      at: nowS,
      problem: readiness.problem() ?? null,
      step_seconds: STEP_MS / 1000,
      samples: recentStatistics.samples(Number(request.query.since ?? 0)).map(showSample),
      totals: stored?.totals ?? null,
      store: stored === undefined ? null : showSize(stored.size),
      calls_in_flight: delivery.callsInFlight(),
      accounts: vault.accounts().length,
      queue_count: queues.length,
      queues_standing: queues.filter((queue) => urgencyOfQueue(queue) >= 2).length,
      queues: queues
        .toSorted(byUrgency)
        .slice(0, QUEUES_SHOWN)
        .map((queue) => showQueue(queue, nowS)),
    }
  })

  function showQueue({ key, state, backlog }: QueueNow, nowS: number) {
    const { adAccountId, isTest } = key
    const account = vault.account(adAccountId)
    const nextTryMs = state?.nextTryMs
    return {
      ad_account_id: adAccountId,
      label: account?.label ?? '',
      test: isTest,
      status: state?.status ?? 'open',
      next_try_in_seconds: nextTryMs === undefined ? null : Math.ceil(nextTryMs / 1000),
      calls_in_flight: state?.callsInFlight ?? 0,
      queued: backlog?.events ?? 0,
      oldest_age_seconds: backlog ? Math.max(0, Math.round(nowS - backlog.oldestEventTimeS)) : null,
      call_limiter: { level: options.callLimiter.level(adAccountId) ?? null, capacity: options.callBurst },
      post_limiter: {
        level: options.postLimiter.level(adAccountId) ?? null,
        capacity: account?.postsPerMinute ?? options.postsPerMinute,
      },
    }
  }
}

interface QueueNow {
  readonly key: QueueKey
  readonly state: QueueState | undefined
  readonly backlog: QueueBacklog | undefined
}

/** Each queue that this process knows, and each that has something in the store. */
function queuesNow(states: readonly QueueState[], backlogs: readonly QueueBacklog[]): QueueNow[] {
  const nameOf = ({ adAccountId, isTest }: QueueKey) => `${adAccountId}/${isTest}`
  const waiting = new Map(backlogs.map((backlog) => [nameOf(backlog), backlog]))
  const known = states.map((state) => {
    const backlog = waiting.get(nameOf(state))
    waiting.delete(nameOf(state))
    return { key: state, state, backlog }
  })
  return [
    ...known,
    ...Array.from(waiting.values(), (backlog) => ({ key: backlog, state: undefined, backlog })),
  ]
}

function urgencyOfQueue({ state }: QueueNow): number {
  return state === undefined ? 0 : urgencyOf(state.status)
}

/** Those that need a person first, then those that wait, then by what waits in them. */
function byUrgency(one: QueueNow, other: QueueNow): number {
  return (
    urgencyOfQueue(other) - urgencyOfQueue(one) || (other.backlog?.events ?? 0) - (one.backlog?.events ?? 0)
  )
}

function showSize({ usedBytes, diskFreeBytes, isFull }: StoreSize) {
  return { used_bytes: usedBytes, disk_free_bytes: diskFreeBytes, full: isFull }
}

function showSample(sample: StatisticsSample) {
  return {
    at: sample.atS,
    posts: sample.posts,
    turned_away: sample.turnedAway,
    delivered: sample.delivered,
    rejected: sample.rejected,
    expired: sample.expired,
    invalid: sample.invalid,
    duplicate: sample.duplicate,
    calls: sample.calls,
    calls_failed: sample.callsFailed,
    post_p50_seconds: sample.postP50S ?? null,
    post_p99_seconds: sample.postP99S ?? null,
    call_p99_seconds: sample.callP99S ?? null,
    queued: sample.queued ?? null,
    oldest_age_seconds: sample.oldestAgeS ?? null,
  }
}
