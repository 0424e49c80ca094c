/** What the console shows in the README's picture: made-up shops on an ordinary afternoon, one of which needs a person. */
import { STATUSES } from '../../src/delivery/queue-status.ts'
import { createRandom } from '../support/random.ts'

const STEP_SECONDS = 5
const STEPS = 180
const FULL = { level: 5000, capacity: 5000 }

const sending = {
  test: false,
  status: 'sending',
  ...STATUSES.sending,
  next_try_in_seconds: null,
  failed_calls: null,
  post_limiter: FULL,
}

const QUEUES = [
  {
    ...sending,
    ad_account_id: '549761668041',
    label: 'Alder & Ash, Germany',
    status: 'unauthorized',
    ...STATUSES.unauthorized,
    next_try_in_seconds: 142,
    calls_in_flight: 0,
    queued: 1284,
    oldest_age_seconds: 1140,
    call_limiter: { level: 250, capacity: 250 },
    post_limiter: { level: 4996, capacity: 5000 },
  },
  {
    ...sending,
    ad_account_id: '549755885175',
    label: 'Alder & Ash, USA',
    calls_in_flight: 2,
    queued: 61,
    oldest_age_seconds: 1,
    call_limiter: { level: 231, capacity: 250 },
    post_limiter: { level: 4871, capacity: 5000 },
  },
  {
    ...sending,
    ad_account_id: '549764402210',
    label: 'Brightwater Outdoor',
    calls_in_flight: 1,
    queued: 18,
    oldest_age_seconds: 1,
    call_limiter: { level: 244, capacity: 250 },
    post_limiter: { level: 4950, capacity: 5000 },
  },
  {
    ...sending,
    ad_account_id: '549770031984',
    label: 'Lumen & Loom',
    calls_in_flight: 0,
    queued: 0,
    oldest_age_seconds: null,
    call_limiter: { level: 250, capacity: 250 },
  },
]

/** As `GET /live` would answer at that time. */
export function makeUpLive(nowSeconds: number) {
  const random = createRandom(7)
  const jitter = (value: number) => value * (0.97 + 0.06 * random.next())
  let waitingForToken = 0
  const samples = Array.from({ length: STEPS }, (_, step) => {
    const isSlow = step > 75 && step < 88
    const posts = Math.round(jitter(STEP_SECONDS * (34 + 9 * Math.sin(step / 55) + 3 * Math.sin(step / 7))))
    // The token is refused in the last third.
    const held = step > 117 ? Math.round(posts * 0.074) : 0
    waitingForToken += held
    const call = isSlow ? 0.41 : 0.12
    return {
      at: nowSeconds - (STEPS - 1 - step) * STEP_SECONDS,
      posts,
      turned_away: 0,
      delivered: Math.round(posts * 1.7),
      rejected: random.chance(0.05) ? 4 : 0,
      expired: 0,
      filtered: Math.round(posts * 0.04),
      invalid: random.chance(0.03) ? 9 : 0,
      duplicate: Math.round(posts * 0.11),
      calls: Math.round(posts * (isSlow ? 0.18 : 0.42)),
      post_p50_seconds: jitter(call * 0.8),
      post_p99_seconds: jitter(call * 1.9),
      call_p99_seconds: jitter(call * 1.3),
      queued: Math.round(jitter(isSlow ? 160 : 60)) + waitingForToken,
      oldest_age_seconds: 1,
    }
  })
  const queued = QUEUES.reduce((sum, queue) => sum + queue.queued, 0)
  const delivered = 4_182_930
  return {
    at: nowSeconds,
    cell: null,
    problem: null,
    problem_means: null,
    step_seconds: STEP_SECONDS,
    samples,
    totals: {
      received: delivered + 312 + 48 + 95_120 + queued + 90_417,
      delivered,
      rejected: 312,
      expired: 48,
      filtered: 95_120,
      queued,
      duplicate: 90_417,
      invalid: 2_204,
    },
    store: { used_bytes: 41_943_040, disk_free_bytes: 38_654_705_664, full: false },
    calls_in_flight: 3,
    accounts: QUEUES.length,
    queue_count: QUEUES.length,
    oldest_age_seconds: 1140,
    paused_accounts: 0,
    accounts_blocked: 1,
    blocked: [
      {
        ad_account_id: '549761668041',
        label: 'Alder & Ash, Germany',
        status: 'unauthorized',
        ...STATUSES.unauthorized,
        offline_at: new Date((nowSeconds + 2460) * 1000).toISOString(),
        expires_at: new Date((nowSeconds + 600_000) * 1000).toISOString(),
      },
    ],
    queues: QUEUES,
  }
}
