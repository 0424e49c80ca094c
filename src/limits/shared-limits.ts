/**
 * Post limiter and call limiter for several replicas: their buckets are in the store, and each replica has a few tokens of them at hand, about
 * as many as it used in the second before.
 *
 *   none at hand ──asked, with all others that are due──> granted: at hand ──taken──> in use (a call's, until it ends)
 *        │                                                   └──unused for a second──> given back
 *        └──none left: not asked again before the store said there would be one
 *
 * While the store is away nothing is granted: calls wait, and posts get 503. What is at hand may be used a second long at
 * most, so that a process that was stopped does not go on with tokens of another time; they are given back, not kept.
 */
import type { Clock } from '../clock.ts'
import type { BucketKind, BucketRequest, Shared } from '../store/shared.ts'
import type { PostLimiter } from './post-limiter.ts'
import type { CallLimiter } from './call-limiter.ts'

export interface SharedLimitsOptions {
  readonly shared: Pick<Shared, 'exchange'>
  readonly callsPerMinute: number
  readonly callBurst: number
  readonly clock: Clock
}

export interface SharedLimits {
  readonly postLimiter: PostLimiter
  readonly callLimiter: CallLimiter
  close(): void
}

const LIFE_MS = 1000
/** Where the store is away, or nobody listens; much shorter than the life of what it grants. */
const ASK_AGAIN_MS = 250
/** Far less than the minutes after which the store forgets what a dead replica held, far more than an answer takes. */
const STALE_MS = 5000
/** A second's worth of 5,000 a minute is 83: nobody keeps more from the others. */
const MOST_AT_HAND = 100

interface QuotaLease {
  readonly kind: BucketKind
  readonly adAccountId: string
  capacity: number
  refillPerMinute: number
  atHand: number
  /** Monotonic: when the newest of them came. */
  grantedMs: number
  inUse: number
  /** Taken in this second, and in the one before. */
  taken: number
  takenBefore: number
  /** What the store was told last; undefined: nobody knows. */
  told: number | undefined
  /** To be given back with the next request. */
  unused: number
  isWanted: boolean
  /** Monotonic; before it the store has none. */
  emptyUntilMs: number
  left: number
  waiters: ((error?: unknown) => void)[]
}

export function createSharedLimits(options: SharedLimitsOptions): SharedLimits {
  const { shared, clock, callsPerMinute, callBurst } = options
  const quotaLeases = {
    post_limiter: new Map<string, QuotaLease>(),
    call_limiter: new Map<string, QuotaLease>(),
  }
  const due = new Set<QuotaLease>()
  const listeners: ((adAccountId: string) => void)[] = []
  let isAsking = false
  let isScheduled = false
  let isClosed = false
  let cancelAgain = () => {}
  let cancelTick = clock.after(LIFE_MS, tick)

  function quotaLeaseOf(
    kind: BucketKind,
    adAccountId: string,
    capacity: number,
    refillPerMinute: number,
  ): QuotaLease {
    let quotaLease = quotaLeases[kind].get(adAccountId)
    if (quotaLease === undefined) {
      quotaLease = {
        kind,
        adAccountId,
        capacity,
        refillPerMinute,
        atHand: 0,
        grantedMs: -Infinity,
        inUse: 0,
        taken: 0,
        takenBefore: 0,
        told: 0,
        unused: 0,
        isWanted: false,
        emptyUntilMs: -Infinity,
        left: capacity,
        waiters: [],
      }
      quotaLeases[kind].set(adAccountId, quotaLease)
    }
    quotaLease.capacity = capacity
    quotaLease.refillPerMinute = refillPerMinute
    return quotaLease
  }

  /** Those that are too old are not used any more. */
  function putAside(quotaLease: QuotaLease): void {
    if (quotaLease.atHand === 0 || clock.monotonicMs() - quotaLease.grantedMs <= LIFE_MS) return
    quotaLease.unused += quotaLease.atHand
    quotaLease.atHand = 0
  }

  function takeOne(quotaLease: QuotaLease): boolean {
    putAside(quotaLease)
    if (quotaLease.atHand === 0) return false
    quotaLease.atHand -= 1
    quotaLease.taken += 1
    return true
  }

  function want(quotaLease: QuotaLease): void {
    quotaLease.isWanted = true
    due.add(quotaLease)
    ask()
  }

  /** With what else becomes due in this turn of the loop. */
  function ask(): void {
    if (isAsking || isScheduled || isClosed) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      if (!isClosed) void exchange()
    })
  }

  async function exchange(): Promise<void> {
    const asked = [...due]
    due.clear()
    if (asked.length === 0) return
    isAsking = true
    const requests = asked.map(requestOf)
    const askedMs = clock.monotonicMs()
    try {
      const grants = await shared.exchange(requests)
      isAsking = false
      asked.forEach((quotaLease, index) => receive(quotaLease, requests[index]!, grants[index]!, askedMs))
      if (due.size > 0) ask()
    } catch (error) {
      isAsking = false
      for (const quotaLease of asked) fail(quotaLease, error)
      cancelAgain()
      if (!isClosed) cancelAgain = clock.after(ASK_AGAIN_MS, ask)
    }
  }

  function requestOf(quotaLease: QuotaLease): BucketRequest {
    const { kind, adAccountId, capacity, refillPerMinute, atHand, inUse, unused, isWanted } = quotaLease
    const wanted = Math.min(
      MOST_AT_HAND,
      Math.max(1, quotaLease.taken, quotaLease.takenBefore, quotaLease.waiters.length),
    )
    return {
      kind,
      adAccountId,
      capacity,
      refillPerMinute,
      wanted: isWanted ? wanted : 0,
      holding: atHand + inUse,
      unused,
    }
  }

  /** An answer that lay about while this process stood still is of another time: its tokens go back unused. */
  function receive(
    quotaLease: QuotaLease,
    request: BucketRequest,
    { granted, waitMs, left }: Grant,
    askedMs: number,
  ): void {
    const nowMs = clock.monotonicMs()
    quotaLease.told = request.holding + granted
    quotaLease.unused -= request.unused
    quotaLease.left = left
    if (request.wanted === 0) return
    quotaLease.isWanted = false
    quotaLease.emptyUntilMs = waitMs > 0 ? nowMs + waitMs : -Infinity
    if (nowMs - askedMs > STALE_MS) quotaLease.unused += granted
    else if (granted > 0) {
      quotaLease.atHand += granted
      quotaLease.grantedMs = nowMs
    }
    for (const wake of quotaLease.waiters.splice(0)) wake()
    if (quotaLease.kind === 'call_limiter' && granted > 0)
      for (const listener of listeners) listener(quotaLease.adAccountId)
  }

  /** Nobody knows what the store has written down: it is told anew, and what it granted is lost. */
  function fail(quotaLease: QuotaLease, error: unknown): void {
    quotaLease.told = undefined
    due.add(quotaLease)
    for (const wake of quotaLease.waiters.splice(0)) wake(error)
  }

  /** What was not used, and what has ended, makes room for others. */
  function tick(): void {
    for (const kind of ['post_limiter', 'call_limiter'] as const) {
      for (const [adAccountId, quotaLease] of quotaLeases[kind]) {
        putAside(quotaLease)
        const isIdle = quotaLease.taken === 0 && quotaLease.takenBefore === 0
        quotaLease.takenBefore = quotaLease.taken
        quotaLease.taken = 0
        if (quotaLease.unused > 0 || quotaLease.told !== quotaLease.atHand + quotaLease.inUse)
          due.add(quotaLease)
        else if (isIdle && quotaLease.inUse === 0 && !quotaLease.isWanted)
          quotaLeases[kind].delete(adAccountId)
      }
    }
    if (due.size > 0) ask()
    cancelTick = clock.after(LIFE_MS, tick)
  }

  const callLimiterQuotaLease = (adAccountId: string) =>
    quotaLeaseOf('call_limiter', adAccountId, callBurst, callsPerMinute - callBurst)

  return {
    callLimiter: {
      take(adAccountId) {
        const quotaLease = callLimiterQuotaLease(adAccountId)
        if (takeOne(quotaLease)) {
          quotaLease.inUse += 1
          return 0
        }
        const waitMs = quotaLease.emptyUntilMs - clock.monotonicMs()
        if (waitMs > 0) return waitMs
        want(quotaLease)
        // Told sooner, when the answer comes; who is not told comes back before what was granted is too old.
        return ASK_AGAIN_MS
      },
      finished(adAccountId) {
        const quotaLease = callLimiterQuotaLease(adAccountId)
        quotaLease.inUse = Math.max(0, quotaLease.inUse - 1)
      },
      level: (adAccountId) => levelOf(quotaLeases.call_limiter.get(adAccountId)),
      onRefill: (listener) => void listeners.push(listener),
    },

    postLimiter: {
      async knock(adAccountId, postsPerMinute) {
        const quotaLease = quotaLeaseOf('post_limiter', adAccountId, postsPerMinute, postsPerMinute)
        for (;;) {
          if (takeOne(quotaLease)) {
            const free = levelOf(quotaLease) ?? 0
            return {
              current: Math.max(0, postsPerMinute - free),
              ttl: ttlOf(postsPerMinute - free, postsPerMinute),
            }
          }
          const waitMs = quotaLease.emptyUntilMs - clock.monotonicMs()
          if (waitMs > 0) return { current: postsPerMinute + 1, ttl: Math.ceil(waitMs) }
          await new Promise<void>((resolve, reject) => {
            quotaLease.waiters.push((error) => (error === undefined ? resolve() : reject(error)))
            want(quotaLease)
          })
        }
      },
      level: (adAccountId) => levelOf(quotaLeases.post_limiter.get(adAccountId)),
      forget: (adAccountId) => void quotaLeases.post_limiter.delete(adAccountId),
    },

    close() {
      isClosed = true
      cancelTick()
      cancelAgain()
    },
  }
}

type Grant = Awaited<ReturnType<Shared['exchange']>>[number]

function levelOf(quotaLease: QuotaLease | undefined): number | undefined {
  return quotaLease && quotaLease.left + quotaLease.atHand
}

/** Until so many are there again. */
function ttlOf(missing: number, refillPerMinute: number): number {
  return Math.max(0, Math.ceil((missing / refillPerMinute) * 60_000))
}
