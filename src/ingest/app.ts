/**
 * The public port: Pinterest's own events endpoint and two health checks, nothing else. The hooks stand in the order in
 * which a post meets them: key, readiness, post limiter, and only then the body.
 */
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import rateLimit from '@fastify/rate-limit'
import { randomUUID } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { rateLimitStore, type PostLimiter } from '../limits/post-limiter.ts'
import { InvalidRequest, NotFound, SenderLeft, TooManyPosts, TooSlow, UnsupportedMedia } from '../errors.ts'
import { codeOf, placeOf, type Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { NO_POST_TRACE, type PostTrace, type Tracing } from '../telemetry/tracing.ts'
import type { Vault } from '../vault/vault.ts'
import { createArrivals } from './arrival.ts'
import { authenticate, type Sender } from './auth.ts'
import { answerError, refuseMalformed } from './error-answer.ts'
import type { Relayed, RelayEvents } from './events.ts'
import type { Readiness } from './health.ts'
import type { PrepareEvents } from './prepare-events.ts'
import { readPrefer } from './prefer.ts'
import { createAdmission } from './admission.ts'
import { createTimeSlices } from './time-slices.ts'

export interface PublicAppOptions {
  readonly vault: Vault
  readonly postLimiter: PostLimiter
  readonly prepareEvents: PrepareEvents
  readonly relayEvents: RelayEvents
  readonly readiness: Readiness
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly log: Log
  readonly clock: Clock
  /** POSTS_PER_MINUTE; 0 opens the post limiter. */
  readonly postsPerMinute: number
  readonly answerWaitMs: number
  readonly bodyLimitBytes: number
  readonly trustProxy: readonly string[]
}

declare module 'fastify' {
  interface FastifyRequest {
    sender: Sender | undefined
    relayed: Relayed | undefined
    /** Gives the room back that the body takes. */
    leave: (() => void) | undefined
    errorCode: string | undefined
  }
}

interface EventsRoute {
  Params: { ad_account_id: string }
  Querystring: Record<string, unknown>
}

/** Longer than a gateway keeps idle connections (60 s is usual), so that it is never the relay that closes first. */
const KEEP_ALIVE_MS = 75_000
/** From the first byte of a request to its last: a slow client must not hold a connection for ever. */
const REQUEST_TIMEOUT_MS = 60_000

export async function createPublicApp(options: PublicAppOptions): Promise<FastifyInstance> {
  const {
    vault,
    postLimiter,
    prepareEvents,
    relayEvents,
    readiness,
    metrics,
    tracing,
    log,
    clock,
    bodyLimitBytes,
  } = options
  const app = Fastify({
    logger: false,
    trustProxy: options.trustProxy.length > 0 ? [...options.trustProxy] : false,
    bodyLimit: bodyLimitBytes,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    genReqId: () => randomUUID(),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    // A URL that cannot be decoded never reaches a route.
    frameworkErrors: (error, _request, reply) => void sendError(error, reply),
    clientErrorHandler: refuseMalformed,
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    // RFC 8259 knows UTF-8 only, and charset has no meaning for JSON; another one named is a body that would be misread.
    const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1]
    if (charset !== undefined && !/^(utf-?8|us-ascii)$/i.test(charset)) {
      done(new UnsupportedMedia('Content-Type must be application/json in UTF-8.'))
    } else done(null, body)
  })

  app.decorateRequest('sender', undefined)
  app.decorateRequest('relayed', undefined)
  app.decorateRequest('leave', undefined)
  app.decorateRequest('errorCode', undefined)

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    request.errorCode = codeOf(error)
    return sendError(error, reply)
  })
  app.setNotFoundHandler(() => {
    throw new NotFound()
  })
  function sendError(error: FastifyError, reply: FastifyReply) {
    const { status, body, retryAfterS } = answerError(error, bodyLimitBytes)
    // The others are told by the post's own line, with their code.
    if (error.statusCode === undefined || error.statusCode === 500) {
      log.error({ code: codeOf(error), at: placeOf(error) }, 'post failed')
    }
    if (retryAfterS !== undefined) reply.header('retry-after', retryAfterS)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    return reply.code(status).send(body)
  }

  app.addHook('onSend', (_request, reply, payload, done) => {
    // Connections end with their next answer, so that none is closed while a post travels on it.
    if (readiness.isShuttingDown()) reply.header('connection', 'close')
    done(null, payload)
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (request.routeOptions.url?.startsWith('/v5/')) {
      metrics.posts.inc({ status: String(reply.statusCode) })
      metrics.postSeconds.observe(reply.elapsedTime / 1000)
      logPost(request, reply)
    }
    done()
  })
  function logPost(request: FastifyRequest, reply: FastifyReply): void {
    const { sender, relayed } = request
    log.info(
      {
        post_id: request.id,
        ad_account_id: sender?.account.adAccountId,
        key_id: sender?.key.keyId,
        status: reply.statusCode,
        code: request.errorCode,
        events: relayed?.events,
        invalid: relayed?.invalid || undefined,
        rejected: relayed?.rejected || undefined,
        duplicates: relayed?.duplicates || undefined,
        queued: relayed?.queued || undefined,
        duration_ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      'post answered',
    )
  }

  app.get('/livez', () => ({ status: 'live' }))
  app.get('/readyz', (_request, reply) => {
    const problem = readiness.problem()
    return reply.code(problem ? 503 : 200).send({ status: problem ?? 'ready' })
  })

  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    store: rateLimitStore(postLimiter),
    keyGenerator: (request) => request.sender!.account.adAccountId,
    max: (request) => limitOf(request),
    allowList: (request) => limitOf(request) === 0,
    errorResponseBuilder: (_request, { max }) => new TooManyPosts(max),
  })
  function limitOf(request: FastifyRequest): number {
    return request.sender!.account.postsPerMinute ?? options.postsPerMinute
  }

  /** Not only when it is answered: a client may leave first. */
  function beginTrace(request: FastifyRequest, reply: FastifyReply, isTest: boolean): PostTrace {
    const { traceparent, tracestate } = request.headers
    const trace = tracing.beginPost({
      adAccountId: request.sender!.account.adAccountId,
      isTest,
      traceparent: oneOf(traceparent),
      tracestate: oneOf(tracestate),
      elapsedMs: reply.elapsedTime,
    })
    if (trace === NO_POST_TRACE) return trace
    reply.raw.once('close', () =>
      trace.end({
        status: reply.statusCode,
        code: request.errorCode,
        events: request.relayed?.events,
      }),
    )
    return trace
  }

  const admission = createAdmission(bodyLimitBytes, clock)
  const arrivals = createArrivals(clock)
  const timeSlices = createTimeSlices({ now: clock.monotonicMs, nextTurn: (run) => void setImmediate(run) })
  app.post<EventsRoute>(
    '/v5/ad_accounts/:ad_account_id/events',
    {
      onRequest: [
        (request, _reply, done) => {
          request.sender = authenticate(vault, request, request.params.ad_account_id)
          readiness.check(request.sender.account.adAccountId)
          checkEncoding(request.headers['content-encoding'])
          done()
        },
        app.rateLimit(),
        (request, reply, done) => {
          request.leave = admission.enter(request, request.sender!.account.adAccountId, (error) => {
            if (error === undefined) {
              arrivals.watch(request.raw, () => {
                // Its rest is not waited for: the connection ends with the answer.
                reply.header('connection', 'close').send(new TooSlow())
              })
            }
            done(error)
          })
          // Not only when it is answered: a client may leave first.
          reply.raw.once('close', request.leave)
        },
      ],
    },
    async (request, reply) => {
      arrivals.forget(request.raw)
      const isTest = readTest(request.query)
      const { account } = request.sender!
      const { adAccountId } = account
      const trace = beginTrace(request, reply, isTest)
      const { waitMs, applied } = readPrefer(request.headers.prefer, options.answerWaitMs)
      const body = takeBody(request)
      const prepare = () => {
        // While it waited for its turn: it will come again, and the work would be done twice.
        if (request.socket.destroyed) throw new SenderLeft()
        return prepareEvents(body, { account, isTest })
      }
      const beganMs = clock.monotonicMs()
      const endPrepare = trace.stage('prepare')
      let prepared
      try {
        prepared = await timeSlices.take(body.byteLength, prepare)
      } finally {
        endPrepare()
      }
      metrics.postStageSeconds.observe({ stage: 'prepare' }, (clock.monotonicMs() - beganMs) / 1000)
      request.leave?.()
      const relayed = await relayEvents({ adAccountId, isTest, prepared, waitMs, trace })
      request.relayed = relayed
      if (applied !== undefined) reply.header('preference-applied', applied)
      reply.header('content-type', 'application/json; charset=utf-8')
      return reply.code(relayed.status).send(relayed.body)
    },
  )

  return app
}

/** What is raw is let go before the post waits. */
function takeBody(request: FastifyRequest): Buffer {
  const { body } = request
  request.body = undefined
  if (!Buffer.isBuffer(body)) throw new InvalidRequest('The body is empty.')
  return body
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.[0]
}

function checkEncoding(encoding: string | undefined): void {
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new UnsupportedMedia('Content-Encoding is not supported.')
  }
}

/** `true`, `True`, `1` and their opposites; the official Python client sends `True`. */
function readTest(query: Readonly<Record<string, unknown>>): boolean {
  // `?Test=true` must not record a conversion: of all parameters this one is refused when its name is wrong.
  const mistyped = Object.keys(query).find((name) => name !== 'test' && /^\W*test\W*$/i.test(name))
  if (mistyped !== undefined)
    throw new InvalidRequest('test: is written `test`, in lower case and without brackets.')
  const value = query['test']
  if (value === undefined) return false
  if (value === 'true' || value === 'True' || value === '1') return true
  if (value === 'false' || value === 'False' || value === '0') return false
  throw new InvalidRequest('test: must be true or false.')
}
