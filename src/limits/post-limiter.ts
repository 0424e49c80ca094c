/**
 * The post limiter: the limit on posts per ad account, as a store for @fastify/rate-limit.
 *
 * Pinterest states its limit as 5,000 calls a minute, so a post limiter bucket has that capacity and that refill, and begins
 * full. It is asked after the key was checked: only accounts of the vault have a bucket, so their number is bounded.
 */
import { callbackify } from 'node:util'
import type { FastifyRateLimitStore, FastifyRateLimitStoreCtor } from '@fastify/rate-limit'
import { fullBucket, msUntilFull, refill, take, tokensIn, type Bucket } from './bucket.ts'

export interface PostLimiterAnswer {
  /** @fastify/rate-limit's terms: posts counted so far; over `max` means refused. */
  readonly current: number
  /** Milliseconds until the next post passes when refused, or else until the bucket is full. */
  readonly ttl: number
}

export interface PostLimiter {
  /** Rejects where the buckets are shared and the store is away. */
  take(adAccountId: string, postsPerMinute: number): PostLimiterAnswer | Promise<PostLimiterAnswer>
  /** Gives back what a post took that proved to be another sender's. */
  giveBack(adAccountId: string): void
  /** Posts that would pass now; undefined before the first post. */
  level(adAccountId: string): number | undefined
  forget(adAccountId: string): void
}

/** A post limiter whose buckets are here. `now`: monotonic milliseconds. */
export function createPostLimiter(now: () => number) {
  const buckets = new Map<string, Bucket>()
  return {
    take(adAccountId: string, postsPerMinute: number): PostLimiterAnswer {
      const nowMs = now()
      const known = buckets.get(adAccountId) ?? fullBucket(postsPerMinute, postsPerMinute, nowMs)
      // What the bucket got until now is by the limit that the account had.
      const refilled = refill(known, nowMs)
      const limits = { capacity: postsPerMinute, refillPerMinute: postsPerMinute }
      const { bucket, isTaken, waitMs } = take({ ...refilled, ...limits }, 1, nowMs)
      buckets.set(adAccountId, bucket)
      if (!isTaken) return { current: postsPerMinute + 1, ttl: waitMs }
      return { current: postsPerMinute - tokensIn(bucket, nowMs), ttl: msUntilFull(bucket) }
    },
    giveBack(adAccountId: string): void {
      const bucket = buckets.get(adAccountId)
      if (bucket !== undefined) buckets.set(adAccountId, take(bucket, -1, now()).bucket)
    },
    level(adAccountId: string): number | undefined {
      const bucket = buckets.get(adAccountId)
      return bucket && tokensIn(bucket, now())
    },
    forget: (adAccountId: string) => void buckets.delete(adAccountId),
  } satisfies PostLimiter
}

/** The class that @fastify/rate-limit wants to construct itself, for each route, around one shared post limiter. */
export function rateLimitStore(postLimiter: PostLimiter): FastifyRateLimitStoreCtor {
  return class PostLimiterStore implements FastifyRateLimitStore {
    incr(
      adAccountId: string,
      callback: (error: Error | null, answer?: PostLimiterAnswer) => void,
      _timeWindow?: number,
      postsPerMinute = 1,
    ): void {
      const answer = postLimiter.take(adAccountId, postsPerMinute)
      if (answer instanceof Promise) callbackify(() => answer)(callback)
      else callback(null, answer)
    }
    child(): PostLimiterStore {
      return this
    }
  }
}
