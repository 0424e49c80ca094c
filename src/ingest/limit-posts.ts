/** The post limiter of the public port: @fastify/rate-limit over the relay's own token buckets. */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { TooManyPosts } from '../errors.ts'
import { rateLimitStore, type PostLimiter } from '../limits/post-limiter.ts'
import type { Settings } from '../settings.ts'

export interface LimitPostsOptions {
  readonly postLimiter: PostLimiter
  readonly settings: Pick<Settings, 'POSTS_PER_MINUTE'>
}

/** For routes that ask for it with `app.rateLimit()`, after the sender is known. A limit of 0 lets every post through. */
export async function limitPosts(app: FastifyInstance, options: LimitPostsOptions): Promise<void> {
  const limitOf = ({ limited }: FastifyRequest) =>
    limited!.postsPerMinute ?? options.settings.POSTS_PER_MINUTE
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    store: rateLimitStore(options.postLimiter),
    keyGenerator: (request) => request.limited!.key,
    max: limitOf,
    allowList: (request) => limitOf(request) === 0,
    errorResponseBuilder: (_request, { max }) => new TooManyPosts(max),
  })
}
