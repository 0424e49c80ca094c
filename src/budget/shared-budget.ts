/**
 * Door and guard for several replicas: their buckets are in the store, and each replica has a few tokens of them at hand, about
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
import type { Door } from './door.ts'
import type { Guard } from './guard.ts'

export interface SharedBudgetOptions {
  readonly shared: Pick<Shared, 'exchange'>
  readonly callsPerMinute: number
  readonly callBurst: number
  readonly clock: Clock
}

export interface SharedBudget {
  readonly door: Door
  readonly guard: Guard
  close(): void
}

const LIFE_MS = 1000
/** Where the store is away, or nobody listens; much shorter than the life of what it grants. */
const ASK_AGAIN_MS = 250
/** Far less than the minutes after which the store forgets what a dead replica held, far more than an answer takes. */
const STALE_MS = 5000
/** A second's worth of 5,000 a minute is 83: nobody keeps more from the others. */
const MOST_AT_HAND = 100

interface Purse {
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

export function createSharedBudget(options: SharedBudgetOptions): SharedBudget {
  const { shared, clock, callsPerMinute, callBurst } = options
  const purses = { door: new Map<string, Purse>(), guard: new Map<string, Purse>() }
  const due = new Set<Purse>()
  const listeners: ((adAccountId: string) => void)[] = []
  let isAsking = false
  let isScheduled = false
  let isClosed = false
  let cancelAgain = () => {}
  let cancelTick = clock.after(LIFE_MS, tick)

  function purseOf(kind: BucketKind, adAccountId: string, capacity: number, refillPerMinute: number): Purse {
    let purse = purses[kind].get(adAccountId)
    if (purse === undefined) {
      purse = {
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
      purses[kind].set(adAccountId, purse)
    }
    purse.capacity = capacity
    purse.refillPerMinute = refillPerMinute
    return purse
  }

  /** Those that are too old are not used any more. */
  function putAside(purse: Purse): void {
    if (purse.atHand === 0 || clock.monotonicMs() - purse.grantedMs <= LIFE_MS) return
    purse.unused += purse.atHand
    purse.atHand = 0
  }

  function takeOne(purse: Purse): boolean {
    putAside(purse)
    if (purse.atHand === 0) return false
    purse.atHand -= 1
    purse.taken += 1
    return true
  }

  function want(purse: Purse): void {
    purse.isWanted = true
    due.add(purse)
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
      asked.forEach((purse, index) => receive(purse, requests[index]!, grants[index]!, askedMs))
      if (due.size > 0) ask()
    } catch (error) {
      isAsking = false
      for (const purse of asked) fail(purse, error)
      cancelAgain()
      if (!isClosed) cancelAgain = clock.after(ASK_AGAIN_MS, ask)
    }
  }

  function requestOf(purse: Purse): BucketRequest {
    const { kind, adAccountId, capacity, refillPerMinute, atHand, inUse, unused, isWanted } = purse
    const wanted = Math.min(MOST_AT_HAND, Math.max(1, purse.taken, purse.takenBefore, purse.waiters.length))
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
    purse: Purse,
    request: BucketRequest,
    { granted, waitMs, left }: Grant,
    askedMs: number,
  ): void {
    const nowMs = clock.monotonicMs()
    purse.told = request.holding + granted
    purse.unused -= request.unused
    purse.left = left
    if (request.wanted === 0) return
    purse.isWanted = false
    purse.emptyUntilMs = waitMs > 0 ? nowMs + waitMs : -Infinity
    if (nowMs - askedMs > STALE_MS) purse.unused += granted
    else if (granted > 0) {
      purse.atHand += granted
      purse.grantedMs = nowMs
    }
    for (const wake of purse.waiters.splice(0)) wake()
    if (purse.kind === 'guard' && granted > 0) for (const listener of listeners) listener(purse.adAccountId)
  }

  /** Nobody knows what the store has written down: it is told anew, and what it granted is lost. */
  function fail(purse: Purse, error: unknown): void {
    purse.told = undefined
    due.add(purse)
    for (const wake of purse.waiters.splice(0)) wake(error)
  }

  /** What was not used, and what has ended, makes room for others. */
  function tick(): void {
    for (const kind of ['door', 'guard'] as const) {
      for (const [adAccountId, purse] of purses[kind]) {
        putAside(purse)
        const isIdle = purse.taken === 0 && purse.takenBefore === 0
        purse.takenBefore = purse.taken
        purse.taken = 0
        if (purse.unused > 0 || purse.told !== purse.atHand + purse.inUse) due.add(purse)
        else if (isIdle && purse.inUse === 0 && !purse.isWanted) purses[kind].delete(adAccountId)
      }
    }
    if (due.size > 0) ask()
    cancelTick = clock.after(LIFE_MS, tick)
  }

  const guardPurse = (adAccountId: string) =>
    purseOf('guard', adAccountId, callBurst, callsPerMinute - callBurst)

  return {
    guard: {
      take(adAccountId) {
        const purse = guardPurse(adAccountId)
        if (takeOne(purse)) {
          purse.inUse += 1
          return 0
        }
        const waitMs = purse.emptyUntilMs - clock.monotonicMs()
        if (waitMs > 0) return waitMs
        want(purse)
        // Told sooner, when the answer comes; who is not told comes back before what was granted is too old.
        return ASK_AGAIN_MS
      },
      finished(adAccountId) {
        const purse = guardPurse(adAccountId)
        purse.inUse = Math.max(0, purse.inUse - 1)
      },
      level: (adAccountId) => levelOf(purses.guard.get(adAccountId)),
      onRefill: (listener) => void listeners.push(listener),
    },

    door: {
      async knock(adAccountId, postsPerMinute) {
        const purse = purseOf('door', adAccountId, postsPerMinute, postsPerMinute)
        for (;;) {
          if (takeOne(purse)) {
            const free = levelOf(purse) ?? 0
            return {
              current: Math.max(0, postsPerMinute - free),
              ttl: ttlOf(postsPerMinute - free, postsPerMinute),
            }
          }
          const waitMs = purse.emptyUntilMs - clock.monotonicMs()
          if (waitMs > 0) return { current: postsPerMinute + 1, ttl: Math.ceil(waitMs) }
          await new Promise<void>((resolve, reject) => {
            purse.waiters.push((error) => (error === undefined ? resolve() : reject(error)))
            want(purse)
          })
        }
      },
      level: (adAccountId) => levelOf(purses.door.get(adAccountId)),
      forget: (adAccountId) => void purses.door.delete(adAccountId),
    },

    close() {
      isClosed = true
      cancelTick()
      cancelAgain()
    },
  }
}

type Grant = Awaited<ReturnType<Shared['exchange']>>[number]

function levelOf(purse: Purse | undefined): number | undefined {
  return purse && purse.left + purse.atHand
}

/** Until so many are there again. */
function ttlOf(missing: number, refillPerMinute: number): number {
  return Math.max(0, Math.ceil((missing / refillPerMinute) * 60_000))
}
