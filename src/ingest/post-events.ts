/**
 * The way of a post, from top to bottom: admit, prepare and commit (in the engine), deliver, respond.
 *
 * What can be refused without the body is refused before it is read. Once the good events are committed, the post is
 * answered with what is known of each event when the wait ends; delivery goes on either way.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { EventOutcome } from '../delivery/batch.ts'
import { InvalidRequest, SenderLeft, TooSlow, UnsupportedMedia } from '../errors.ts'
import type { Settings } from '../settings.ts'
import type { Engine } from '../store/engine/engine.ts'
import type { PostReceipt } from '../store/engine/posts.ts'
import type { LeasedBatch, QueueKey } from '../store/store.ts'
import type { MatchQuality } from '../telemetry/match-quality.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { NO_POST_TRACE, type PostTrace, type Tracing } from '../telemetry/tracing.ts'
import type { VolumeWatch } from '../telemetry/volume-watch.ts'
import { preparingOf } from '../vault/records.ts'
import type { Vault } from '../vault/vault.ts'
import { createAdmission, type Admission } from './admission.ts'
import { answerPost, type PostAnswer } from './answers.ts'
import { createArrivals, type Arrivals } from './arrival.ts'
import { authenticate } from './auth.ts'
import type { Readiness } from './health.ts'
import { readPrefer } from './prefer.ts'

export interface PostEventsOptions {
  readonly vault: Vault
  readonly readiness: Readiness
  readonly engine: Pick<Engine, 'takePost' | 'withdrawPost'>
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly matchQuality: Pick<MatchQuality, 'note'>
  readonly volumeWatch: Pick<VolumeWatch, 'note'>
  readonly tracing: Tracing
  readonly clock: Clock
  /** Whether ages can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
  readonly settings: Pick<Settings, 'ANSWER_WAIT_MS' | 'BODY_LIMIT_BYTES'>
}

interface EventsRoute {
  Params: { ad_account_id: string }
  Querystring: Record<string, unknown>
}

type EventsRequest = FastifyRequest<EventsRoute>

/** Where the post limiter is registered already. */
export function routePostEvents(app: FastifyInstance, options: PostEventsOptions): void {
  const { vault, readiness, engine, delivery, metrics, tracing, clock, settings } = options
  const arrivals = createArrivals(clock)
  const admitBody = createAdmitBody(createAdmission(settings.BODY_LIMIT_BYTES, clock), arrivals)
  let lastPostId = 0

  app.post<EventsRoute>(
    '/v5/ad_accounts/:ad_account_id/events',
    { onRequest: [admitSender, app.rateLimit(), admitBody] },
    async (request, reply) => {
      arrivals.forget(request.raw)
      const isTest = readTest(request.query)
      const queue = { adAccountId: request.sender!.account.adAccountId, isTest }
      const trace = beginTrace(tracing, request, reply, queue)
      const { waitMs, applied } = readPrefer(request.headers.prefer, settings.ANSWER_WAIT_MS)

      const receipt = await prepareAndCommit(request, queue, trace)
      request.leave?.()
      count(queue, receipt)
      const outcomes = receipt.batch === undefined ? [] : await deliver(receipt.batch, waitMs, trace)

      request.answer = answerPost(receipt, outcomes, applied !== undefined)
      return respond(reply, request.answer, applied)
    },
  )

  function admitSender(request: EventsRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
    request.sender = authenticate(vault, request, request.params.ad_account_id)
    readiness.check(request.sender.account.adAccountId)
    checkEncoding(request.headers['content-encoding'])
    done()
  }

  async function prepareAndCommit(
    request: FastifyRequest,
    queue: QueueKey,
    trace: PostTrace,
  ): Promise<PostReceipt> {
    const { body } = request
    // The raw body leaves this thread.
    request.body = undefined
    if (!Buffer.isBuffer(body)) throw new InvalidRequest('The body is empty.')
    if (request.raw.socket.destroyed) throw new SenderLeft()
    const postId = ++lastPostId
    const withdraw = () => engine.withdrawPost(postId)
    request.raw.socket.once('close', withdraw)
    const beganMs = clock.monotonicMs()
    try {
      const receipt = await engine.takePost({
        ...queue,
        payload: body,
        postId,
        receivedAtMs: clock.wallMs(),
        isClockTrusted: options.isClockTrusted(),
        account: preparingOf(request.sender!.account),
      })
      endStage('prepare', receipt.prepareMs, trace)
      endStage('commit', clock.monotonicMs() - beganMs - receipt.prepareMs, trace)
      return receipt
    } finally {
      request.raw.socket.off('close', withdraw)
    }
  }

  function count({ adAccountId, isTest }: QueueKey, receipt: PostReceipt): void {
    metrics.events.inc({ outcome: 'invalid' }, receipt.invalidCount)
    metrics.events.inc({ outcome: 'filtered' }, receipt.filteredCount)
    metrics.events.inc({ outcome: 'duplicate' }, receipt.duplicates.length)
    for (const tally of receipt.tallies) {
      for (const [code, n] of tally.warnings) metrics.eventWarnings.inc({ code }, n)
      for (const [reason, n] of tally.invalidReasons) metrics.eventsInvalid.inc({ reason }, n)
      if (isTest) continue
      options.matchQuality.note(adAccountId, tally)
      options.volumeWatch.note(adAccountId, tally)
    }
  }

  async function deliver(
    batch: LeasedBatch,
    waitMs: number,
    trace: PostTrace,
  ): Promise<readonly EventOutcome[]> {
    const beganMs = clock.monotonicMs()
    const outcomes = await delivery.send(batch, waitMs, trace)
    if (waitMs > 0)
      metrics.postStageSeconds.observe({ stage: 'outcome' }, (clock.monotonicMs() - beganMs) / 1000)
    return outcomes
  }

  function endStage(stage: 'prepare' | 'commit', durationMs: number, trace: PostTrace): void {
    metrics.postStageSeconds.observe({ stage }, durationMs / 1000)
    trace.stage(stage, durationMs)
  }
}

function respond(reply: FastifyReply, answer: PostAnswer, applied: string | undefined): FastifyReply {
  const { status, body, counts } = answer
  if (applied !== undefined) reply.header('preference-applied', applied)
  if (counts.queued > 0) reply.header('relay-queued', counts.queued)
  reply.header('content-type', 'application/json; charset=utf-8')
  return reply.code(status).send(body)
}

/** Lets the body be read once there is room for it, and sees to it that the room is given back. */
function createAdmitBody(admission: Admission, arrivals: Arrivals) {
  return function admitBody(
    request: EventsRequest,
    reply: FastifyReply,
    done: HookHandlerDoneFunction,
  ): void {
    // While the post limiter of several replicas asked the database: no `close` would give the room back any more.
    if (request.raw.destroyed) return done(new SenderLeft())
    request.leave = admission.enter(request, request.sender!.account.adAccountId, (error) => {
      if (error === undefined) {
        arrivals.watch(request.raw, () => {
          // The rest of the body is not read: the connection ends with the answer.
          reply.header('connection', 'close').send(new TooSlow())
        })
      }
      done(error)
    })
    // Not only when it is answered: a client may leave first.
    reply.raw.once('close', request.leave)
  }
}

function beginTrace(
  tracing: Tracing,
  request: FastifyRequest,
  reply: FastifyReply,
  { adAccountId, isTest }: QueueKey,
): PostTrace {
  const { traceparent, tracestate } = request.headers
  const trace = tracing.beginPost({
    adAccountId,
    isTest,
    traceparent: firstOf(traceparent),
    tracestate: firstOf(tracestate),
    elapsedMs: reply.elapsedTime,
  })
  if (trace === NO_POST_TRACE) return trace
  // Not only when it is answered: a client may leave first.
  reply.raw.once('close', () =>
    trace.end({ status: reply.statusCode, code: request.errorCode, events: request.answer?.counts.events }),
  )
  return trace
}

function firstOf(header: string | string[] | undefined): string | undefined {
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
