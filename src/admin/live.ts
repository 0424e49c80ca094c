/**
 * What the console reads every few seconds: whether posts are taken, a range of recent statistics in steps, what is stored, which
 * accounts need a person, and the most urgent queues. Of this process; with several relays each has its own.
 */
import { Type, type Static } from '../type.ts'
import { STATUSES, type QueueState } from '../delivery/queue-status.ts'
import type { Readiness } from '../ingest/health.ts'
import { ON_TIME_S, type QueueBacklog } from '../store/store.ts'
import { waitingOf } from '../store/snapshot.ts'
import { RANGES, type Range } from '../telemetry/recent-statistics.ts'
import { describeQueue, problemsOf, QueueView } from './account-view.ts'
import { accountStatus, AdAccountId, textOf } from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'
import { Totals } from './insight.ts'

type Problem = NonNullable<ReturnType<Readiness['problem']>>

const PROBLEMS: Readonly<Record<Problem, string>> = {
  shutting_down: 'The relay is shutting down: posts are taken until its port closes.',
  store_unavailable: 'Posts get 503: the store cannot be written. Check its disk, or the database.',
  store_stalled: 'Posts get 503: the store does not answer. Its disk hangs, or the machine is overloaded.',
  store_full: 'Posts get 503: the store or its disk is full. See which queues do not drain, or make room.',
}

const OfAccount = Type.String({ ...AdAccountId, description: 'Of the queues only those of this account.' })
const Query = Type.Closed({
  /** Only steps that ended after this, in seconds since the epoch. */
  since: Type.Optional(textOf('^\\d{1,12}(\\.\\d{1,6})?$', 'must be seconds since the epoch')),
  range: Type.Optional(Type.Enum(Object.keys(RANGES) as Range[])),
  ad_account_id: Type.Optional(OfAccount),
})

const seconds = () => Type.OrNull(Type.Number({ minimum: 0 }))
const Sample = Type.Closed({
  at: Type.Number({ description: 'When the step ended, in seconds since the epoch.' }),
  posts: Type.Count,
  turned_away: Type.CountOf('Answered with 429 or 5xx.'),
  delivered: Type.Count,
  rejected: Type.Count,
  expired: Type.Count,
  filtered: Type.Count,
  invalid: Type.Count,
  duplicate: Type.Count,
  calls: Type.Count,
  post_p50_seconds: seconds(),
  post_p99_seconds: seconds(),
  call_p99_seconds: seconds(),
  queued: Type.OrNull(Type.Count),
  oldest_age_seconds: seconds(),
})

const Bucket = Type.Closed({
  level: Type.OrNull(Type.Integer({ description: 'Null before the first use.' })),
  capacity: Type.Count,
})
const Size = Type.Closed({ used_bytes: Type.Count, disk_free_bytes: Type.Count, full: Type.Boolean() })
const Queue = Type.Closed({
  ad_account_id: AdAccountId,
  label: Type.String(),
  ...QueueView.properties,
  queued: Type.Count,
  oldest_age_seconds: Type.OrNull(Type.Count),
  call_limiter: Bucket,
  post_limiter: Bucket,
})

const BlockedAccount = Type.Closed({
  ad_account_id: AdAccountId,
  label: Type.String(),
  ...accountStatus,
  offline_at: Type.OrNull(Type.Time),
  expires_at: Type.OrNull(Type.Time),
})

const Live = Type.Closed({
  at: Type.Number(),
  cell: Type.OrNull(Type.String({ description: 'CELL of its settings.' })),
  problem: Type.OrNull(Type.Enum(Object.keys(PROBLEMS) as Problem[])),
  problem_means: Type.OrNull(Type.String()),
  step_seconds: Type.Number(),
  samples: Type.Array(Sample),
  totals: Type.OrNull(Totals),
  store: Type.OrNull(Size),
  calls_in_flight: Type.Count,
  accounts: Type.Count,
  queue_count: Type.Count,
  oldest_age_seconds: Type.OrNull(
    Type.Integer({ description: 'Of the live event that has waited longest.' }),
  ),
  paused_accounts: Type.Count,
  accounts_blocked: Type.CountOf('They need a person, and nobody paused them.'),
  blocked: Type.Array(BlockedAccount, {
    description:
      'The first of them, the earliest deadline first: from `offline_at` Pinterest counts the oldest live event as offline, at `expires_at` it becomes a dead letter.',
  }),
  queues: Type.Array(Queue),
})

export type LiveAnswer = Static<typeof Live>

/** More than a person reads; metrics have a thousand. */
const QUEUES_SHOWN = 200
const BLOCKED_SHOWN = 5

export const liveRoutes: AdminRoutes = async (app, options) => {
  const { vault, delivery, recentStatistics, takeSnapshot, readiness, clock } = options
  const { callLimiter, postLimiter, settings } = options

  const schema = {
    summary:
      'Recent statistics of this process, accounts that need a person, and the queues that matter most',
    querystring: Query,
    response: { 200: Live },
  }
  app.get('/live', { schema }, async (request) => {
    const { since = 0, range = '15m', ad_account_id: id } = request.query
    const at = clock.wallMs() / 1000
    // The page shows that the store is away, so it must not fail then.
    const stored = await takeSnapshot().catch(() => undefined)
    const isKnown = (adAccountId: string) => vault.account(adAccountId) !== undefined
    const queues = queuesNow(delivery.queues(), stored?.backlog ?? [], isKnown)
    const problem: Problem | undefined = readiness.problem()
    const blocked = findBlocked(options, queues)
    const oldestAge = stored && waitingOf(stored, clock).oldestAgeSeconds
    return {
      at,
      cell: options.settings.CELL,
      problem,
      problemMeans: problem && PROBLEMS[problem],
      stepSeconds: RANGES[range].stepMs / 1000,
      samples: recentStatistics.samples(Number(since), range),
      totals: stored?.totals,
      store: stored && { ...stored.size, full: stored.size.isFull },
      callsInFlight: delivery.callsInFlight(),
      accounts: vault.accounts().length,
      queueCount: queues.length,
      oldestAgeSeconds: oldestAge === undefined ? null : Math.round(oldestAge),
      pausedAccounts: vault.accounts().filter(({ isPaused }) => isPaused).length,
      accountsBlocked: blocked.length,
      blocked: blocked.slice(0, BLOCKED_SHOWN),
      queues: queues
        .filter(({ adAccountId }) => adAccountId === (id ?? adAccountId))
        .toSorted(byUrgency)
        .slice(0, QUEUES_SHOWN)
        .map((queue) => queueOf(queue, at)),
    }
  })

  function queueOf(queue: QueueNow, nowS: number) {
    const { adAccountId, events = 0, oldestEventTimeS } = queue
    const { label = '', postsPerMinute = settings.POSTS_PER_MINUTE } = vault.account(adAccountId) ?? {}
    return {
      adAccountId,
      label,
      ...describeQueue(queue),
      queued: events,
      oldestAgeSeconds: oldestEventTimeS && Math.max(0, Math.round(nowS - oldestEventTimeS)),
      callLimiter: { level: callLimiter.level(adAccountId), capacity: settings.CALL_BURST },
      postLimiter: { level: postLimiter.level(adAccountId), capacity: postsPerMinute },
    }
  }
}

/** Accounts that need a person now, the one with the earliest deadline first. Not those that a person paused. */
function findBlocked(
  options: Pick<AdminOptions, 'vault' | 'readiness' | 'maxEventAgeMs'>,
  queues: readonly QueueNow[],
) {
  const { vault, maxEventAgeMs } = options
  const byAccount = Map.groupBy(queues, ({ adAccountId }) => adAccountId)
  // Also those that are not registered.
  const ids = new Set([...vault.accounts().map(({ adAccountId }) => adAccountId), ...byAccount.keys()])
  return [...ids]
    .flatMap((adAccountId) => {
      const account = vault.account(adAccountId)
      const own = byAccount.get(adAccountId) ?? []
      const problems = account === undefined ? [] : problemsOf(account, options)
      const statuses = [...own.map((queue) => queue.status), ...problems]
      const status = statuses.find((one) => STATUSES[one].urgency === 3)
      if (status === undefined || account?.isPaused === true) return []
      const times = own.flatMap(({ isTest, oldestEventTimeS }) => (isTest ? [] : (oldestEventTimeS ?? [])))
      const oldestMs = times.length === 0 ? undefined : 1000 * Math.min(...times)
      const deadlines = {
        offlineAtMs: oldestMs && oldestMs + 1000 * ON_TIME_S,
        expiresAtMs: oldestMs && oldestMs + maxEventAgeMs,
      }
      return [{ adAccountId, label: account?.label ?? '', status, ...STATUSES[status], ...deadlines }]
    })
    .toSorted((one, other) => (one.expiresAtMs ?? Infinity) - (other.expiresAtMs ?? Infinity))
}

/** Without a backlog where nothing waits. */
type QueueNow = QueueState & Partial<QueueBacklog>

/** Of a queue that is only in the store: this process has not called for it. */
const UNKNOWN = { nextTryMs: undefined, callsInFlight: 0, failedCalls: undefined } as const

/** Each queue that this process knows, and each that has something in the store. */
function queuesNow(
  states: readonly QueueState[],
  backlogs: readonly QueueBacklog[],
  isKnown: (adAccountId: string) => boolean,
): QueueNow[] {
  const queues = new Map<string, QueueNow>()
  for (const part of [...states, ...backlogs]) {
    const name = `${part.adAccountId}/${part.isTest}`
    const unknown = { ...UNKNOWN, status: isKnown(part.adAccountId) ? 'sending' : 'no_account' } as const
    queues.set(name, { ...(queues.get(name) ?? unknown), ...part })
  }
  return [...queues.values()]
}

/** The most urgent first, then those with the most events. */
function byUrgency(one: QueueNow, other: QueueNow): number {
  const urgency = STATUSES[other.status].urgency - STATUSES[one.status].urgency
  return urgency || (other.events ?? 0) - (one.events ?? 0)
}
