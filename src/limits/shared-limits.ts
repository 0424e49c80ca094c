/**
 * Post limiter and call limiter for several replicas. Their buckets are in the store; each replica leases about as many tokens
 * of a bucket as it used in the second before.
 *
 *   none at hand ──exchange, with all that are due──> granted: at hand ──take──> in use (by a call, until it ends)
 *        │                                               └──unused for a second──> given back
 *        └──none left: not asked for again before the store said there would be one
 *
 * While the store is away nothing is granted: calls wait, and posts get 503. A token at hand may be used for a second at most,
 * so that a process that was stopped does not use tokens of another time; it is given back, not kept.
 */
import type { Clock } from '../clock.ts'
import { codeOf } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { BucketGrant, BucketKind, BucketRequest, Shared } from '../store/shared.ts'
import type { Log } from '../telemetry/log.ts'
import type { PostLimiter } from './post-limiter.ts'
import type { CallLimiter } from './call-limiter.ts'

export interface SharedLimitsOptions {
  readonly shared: Pick<Shared, 'exchange'>
  readonly settings: Pick<Settings, 'CALLS_PER_MINUTE' | 'CALL_BURST'>
  readonly clock: Clock
  readonly log: Pick<Log, 'error'>
}

const LIFE_MS = 1000
/** Where the store is away, or nobody listens; much shorter than the life of what it grants. */
const ASK_AGAIN_MS = 250
/** Far less than the minutes after which the store forgets what a dead replica held, far more than an answer takes. */
const STALE_MS = 5000
/** A second's worth of 5,000 a minute is 83: no replica keeps more from the others. */
const MOST_AT_HAND = 100

/** What this replica has of one bucket. */
function createLease(kind: BucketKind, adAccountId: string, capacity: number, refillPerMinute: number) {
  return {
    kind,
    adAccountId,
    capacity,
    refillPerMinute,
    atHand: 0,
    /** Monotonic: when the newest of them came. */
    grantedMs: -Infinity,
    inUse: 0,
    /** Taken in this second, and in the one before. */
    taken: 0,
    takenBefore: 0,
    /** What the store has written down that this replica holds; undefined: unknown. */
    known: 0 as number | undefined,
    /** To be given back with the next request. */
    unused: 0,
    isWanted: false,
    /** The store has not answered yet. */
    isAsked: false,
    /** Monotonic; before it the store has none. */
    emptyUntilMs: -Infinity,
    left: capacity,
    waiters: [] as PromiseWithResolvers<void>[],
  }
}
type QuotaLease = ReturnType<typeof createLease>

export function createSharedLimits(options: SharedLimitsOptions) {
  const { settings } = options
  let onRefill = (_adAccountId: string) => {}
  const leases = createQuotaLeases(options, (adAccountId) => onRefill(adAccountId))
  const { CALLS_PER_MINUTE: callsPerMinute, CALL_BURST: callBurst } = settings
  const callLease = (adAccountId: string) =>
    leases.of('call_limiter', adAccountId, callBurst, callsPerMinute - callBurst)

  const callLimiter: CallLimiter = {
    take(adAccountId) {
      const lease = callLease(adAccountId)
      const waitMs = leases.take(lease)
      if (waitMs === 0) lease.inUse += 1
      // `onRefill` comes sooner; without it the caller retries before what was granted is too old.
      return waitMs ?? ASK_AGAIN_MS
    },
    finished(adAccountId) {
      const lease = callLease(adAccountId)
      lease.inUse = Math.max(0, lease.inUse - 1)
    },
    level: (adAccountId) => levelOf(leases.find('call_limiter', adAccountId)),
    onRefill: (listener) => void (onRefill = listener),
  }

  const postLimiter: PostLimiter = {
    async take(adAccountId, postsPerMinute) {
      const lease = leases.of('post_limiter', adAccountId, postsPerMinute, postsPerMinute)
      for (;;) {
        const waitMs = leases.take(lease)
        if (waitMs === 0) {
          const missing = postsPerMinute - lease.left - lease.atHand
          const ttl = Math.max(0, Math.ceil((missing / postsPerMinute) * 60_000))
          return { current: Math.max(0, missing), ttl }
        }
        if (waitMs !== undefined) return { current: postsPerMinute + 1, ttl: Math.ceil(waitMs) }
        const granted = Promise.withResolvers<void>()
        lease.waiters.push(granted)
        await granted.promise
      }
    },
    giveBack(adAccountId) {
      const lease = leases.find('post_limiter', adAccountId)
      if (lease !== undefined) lease.unused += 1
    },
    level: (adAccountId) => levelOf(leases.find('post_limiter', adAccountId)),
    // What nobody uses is given back and forgotten anyway.
    forget: () => {},
  }

  return { callLimiter, postLimiter, close: leases.close }
}

/** The leases, and the exchange of tokens with the store. `onGranted`: an account may make calls again. */
function createQuotaLeases(
  { clock, ...options }: SharedLimitsOptions,
  onGranted: (adAccountId: string) => void,
) {
  const exchangeTokens = loggingFailures(options)
  const leases = new Map<string, QuotaLease>()
  const due = new Set<QuotaLease>()
  let isAsking = false
  let isClosed = false
  let cancelAgain = () => {}
  let cancelTick = clock.after(LIFE_MS, tick)

  /** With what else becomes due in this turn of the loop. */
  function ask(): void {
    if (isAsking || isClosed || due.size === 0) return
    isAsking = true
    setImmediate(() => !isClosed && void exchange())
  }

  async function exchange(): Promise<void> {
    const asked = [...due]
    due.clear()
    const requests = asked.map(requestOf)
    for (const lease of asked) lease.isAsked = true
    const askedMs = clock.monotonicMs()
    try {
      const grants = await exchangeTokens(requests)
      isAsking = false
      const nowMs = clock.monotonicMs()
      for (const [index, lease] of asked.entries()) {
        const grant = grants[index]!
        receive(lease, requests[index]!, grant, nowMs, nowMs - askedMs > STALE_MS)
        if (lease.kind === 'call_limiter' && grant.granted > 0) onGranted(lease.adAccountId)
      }
      ask()
    } catch (error) {
      isAsking = false
      for (const [index, lease] of asked.entries()) {
        // Whether the store has written it down is unknown: it gets the whole number again, and what it granted or got back is lost.
        lease.known = undefined
        lease.unused -= requests[index]!.unused
        due.add(lease)
        for (const { reject } of lease.waiters.splice(0)) reject(error)
      }
      cancelAgain()
      if (!isClosed) cancelAgain = clock.after(ASK_AGAIN_MS, ask)
    } finally {
      for (const lease of asked) lease.isAsked = false
    }
  }

  /**
   * Gives back what was not used, and what calls that have ended held. Forgets no lease while the store is asked of it, or will be: where
   * that fails it is asked for again, and together with another lease of the same bucket the store would refuse it, and all others with it.
   */
  function tick(): void {
    const nowMs = clock.monotonicMs()
    for (const [key, lease] of leases) {
      putAside(lease, nowMs)
      const isIdle = lease.taken === 0 && lease.takenBefore === 0
      lease.takenBefore = lease.taken
      lease.taken = 0
      if (lease.unused > 0 || lease.known !== lease.atHand + lease.inUse) due.add(lease)
      else if (isIdle && lease.known === 0 && !lease.isAsked && !due.has(lease)) leases.delete(key)
    }
    ask()
    cancelTick = clock.after(LIFE_MS, tick)
  }

  return {
    of(kind: BucketKind, adAccountId: string, capacity: number, refillPerMinute: number): QuotaLease {
      const key = keyOf(kind, adAccountId)
      const lease = leases.get(key) ?? createLease(kind, adAccountId, capacity, refillPerMinute)
      leases.set(key, lease)
      return Object.assign(lease, { capacity, refillPerMinute })
    },
    /** 0: taken. Else the milliseconds until the store has one; undefined: it was asked. */
    take(lease: QuotaLease): number | undefined {
      const nowMs = clock.monotonicMs()
      putAside(lease, nowMs)
      if (lease.atHand > 0) {
        lease.atHand -= 1
        lease.taken += 1
        return 0
      }
      if (lease.emptyUntilMs > nowMs) return lease.emptyUntilMs - nowMs
      lease.isWanted = true
      due.add(lease)
      ask()
      return undefined
    },
    find: (kind: BucketKind, adAccountId: string) => leases.get(keyOf(kind, adAccountId)),
    close: () => {
      isClosed = true
      cancelTick()
      cancelAgain()
    },
  }
}

/** A failed exchange is repeated soon, so that only another failure than the last one is logged. */
function loggingFailures({ shared, log }: Pick<SharedLimitsOptions, 'shared' | 'log'>): Shared['exchange'] {
  let failure = ''
  return async (requests) => {
    try {
      const grants = await shared.exchange(requests)
      failure = ''
      return grants
    } catch (error) {
      const code = codeOf(error)
      if (code !== failure) log.error({ code }, 'store cannot grant tokens')
      failure = code
      throw error
    }
  }
}

function keyOf(kind: BucketKind, adAccountId: string): string {
  return `${kind} ${adAccountId}`
}

function levelOf(lease: QuotaLease | undefined): number | undefined {
  return lease && lease.left + lease.atHand
}

/** Tokens that are too old are not used any more. */
function putAside(lease: QuotaLease, nowMs: number): void {
  if (lease.atHand === 0 || nowMs - lease.grantedMs <= LIFE_MS) return
  lease.unused += lease.atHand
  lease.atHand = 0
}

function requestOf(lease: QuotaLease): BucketRequest {
  const { kind, adAccountId, capacity, refillPerMinute, unused, taken, takenBefore, waiters } = lease
  const wanted = Math.min(MOST_AT_HAND, Math.max(1, taken, takenBefore, waiters.length))
  return {
    kind,
    adAccountId,
    capacity,
    refillPerMinute,
    wanted: lease.isWanted ? wanted : 0,
    holding: lease.atHand + lease.inUse,
    unused,
  }
}

/** `isStale`: the process was stopped while the answer waited. Its tokens are of another time and are given back unused. */
function receive(
  lease: QuotaLease,
  request: BucketRequest,
  { granted, waitMs, left }: BucketGrant,
  nowMs: number,
  isStale: boolean,
): void {
  lease.known = request.holding + granted
  lease.unused -= request.unused
  lease.left = left
  if (request.wanted === 0) return
  lease.isWanted = false
  lease.emptyUntilMs = waitMs > 0 ? nowMs + waitMs : -Infinity
  if (isStale) lease.unused += granted
  else if (granted > 0) {
    lease.atHand += granted
    lease.grantedMs = nowMs
  }
  for (const { resolve } of lease.waiters.splice(0)) resolve()
}
