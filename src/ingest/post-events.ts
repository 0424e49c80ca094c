/**
 * The way of a post, from top to bottom: admit, prepare and commit, deliver, respond.
 *
 * What can be refused without the body is refused before it is read. Once the good events are committed, the post is
 * answered with what is known of each event when the wait ends; delivery goes on either way.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { EventOutcome } from '../delivery/batch.ts'
import { InvalidRequest, TooSlow, UnsupportedMedia } from '../errors.ts'
import type { Prepared } from '../events/prepare.ts'
import type { Settings } from '../settings.ts'
import { joinInSteps } from '../store/payload.ts'
import type { LeasedBatch, QueueKey, Receipt, Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { NO_POST_TRACE, type PostTrace, type Tracing } from '../telemetry/tracing.ts'
import type { Vault } from '../vault/vault.ts'
import { createAdmission } from './admission.ts'
import { answerPost, type PostAnswer } from './answers.ts'
import { createArrivals } from './arrival.ts'
import { authenticate } from './auth.ts'
import type { Readiness } from './health.ts'
import { inTimeSlices } from './in-time-slices.ts'
import { createPrepareEvents, type PrepareEventsOptions } from './prepare-events.ts'
import { readPrefer } from './prefer.ts'

export interface PostEventsOptions extends PrepareEventsOptions {
  readonly vault: Vault
  readonly readiness: Readiness
  readonly store: Store
  readonly delivery: Delivery
  readonly metrics: Metrics
  readonly tracing: Tracing
  readonly clock: Clock
  readonly settings: Pick<Settings, 'ANSWER_WAIT_MS' | 'BODY_LIMIT_BYTES' | 'MAX_EVENT_AGE_HOURS'>
}

interface EventsRoute {
  Params: { ad_account_id: string }
  Querystring: Record<string, unknown>
}

type EventsRequest = FastifyRequest<EventsRoute>

/** Where the post limiter is registered already. */
export function routePostEvents(app: FastifyInstance, options: PostEventsOptions): void {
  const { vault, readiness, store, delivery, metrics, tracing, clock, settings } = options
  const admission = createAdmission(settings.BODY_LIMIT_BYTES, clock)
  const arrivals = createArrivals(clock)
  const prepareEvents = createPrepareEvents(options)

  app.post<EventsRoute>(
    '/v5/ad_accounts/:ad_account_id/events',
    { onRequest: [admitSender, app.rateLimit(), admitBody] },
    async (request, reply) => {
      arrivals.forget(request.raw)
      const isTest = readTest(request.query)
      const queue = { adAccountId: request.sender!.account.adAccountId, isTest }
      const trace = beginTrace(tracing, request, reply, queue)
      const { waitMs, applied } = readPrefer(request.headers.prefer, settings.ANSWER_WAIT_MS)

      const prepared = await prepare(request, isTest, trace)
      request.leave?.()
      const receipt = await commit(queue, prepared, trace)
      const outcomes = receipt.batch === undefined ? [] : await deliver(receipt.batch, waitMs, trace)

      request.answer = answerPost(prepared, receipt, outcomes, applied !== undefined)
      return respond(reply, request.answer, applied)
    },
  )

  function admitSender(request: EventsRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
    request.sender = authenticate(vault, request, request.params.ad_account_id)
    readiness.check(request.sender.account.adAccountId)
    checkEncoding(request.headers['content-encoding'])
    done()
  }

  function admitBody(request: EventsRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
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

  async function prepare(
    request: FastifyRequest,
    isTest: boolean,
    trace: PostTrace,
  ): Promise<readonly Prepared[]> {
    const { body } = request
    // The raw body is released before the post waits for its outcome.
    request.body = undefined
    if (!Buffer.isBuffer(body)) throw new InvalidRequest('The body is empty.')
    const { account } = request.sender!
    const hasLeft = () => request.socket.destroyed
    return measure('prepare', trace, () => prepareEvents(body, { account, isTest, hasLeft }))
  }

  /** The good events, as one batch, and the counts. Rejects with STORE_UNAVAILABLE if nothing could be taken. */
  async function commit(queue: QueueKey, prepared: readonly Prepared[], trace: PostTrace): Promise<Receipt> {
    const receivedAtMs = clock.wallMs()
    const { events, filteredCount, invalidCount } = sort(prepared)
    metrics.events.inc({ outcome: 'invalid' }, invalidCount)
    if (invalidCount === prepared.length) {
      // Only a count: it shares the next commit, and the answer does not depend on it.
      void store.countInvalid(queue, invalidCount).catch(() => undefined)
      return NOTHING_COMMITTED
    }
    const payload = await inTimeSlices(joinInSteps(events.map(({ json }) => json)))
    const batch = { ...queue, payload, events, filteredCount, invalidCount, receivedAtMs }
    const receipt = await measure('commit', trace, () => store.commit(batch))
    metrics.events.inc({ outcome: 'filtered' }, filteredCount)
    metrics.events.inc({ outcome: 'duplicate' }, receipt.duplicates.length)
    return receipt
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

  async function measure<Result>(
    stage: 'prepare' | 'commit',
    trace: PostTrace,
    work: () => Promise<Result>,
  ): Promise<Result> {
    const beganMs = clock.monotonicMs()
    const endStage = trace.stage(stage)
    try {
      const result = await work()
      metrics.postStageSeconds.observe({ stage }, (clock.monotonicMs() - beganMs) / 1000)
      return result
    } finally {
      endStage()
    }
  }
}

function respond(reply: FastifyReply, answer: PostAnswer, applied: string | undefined): FastifyReply {
  const { status, body, counts } = answer
  if (applied !== undefined) reply.header('preference-applied', applied)
  if (counts.queued > 0) reply.header('relay-queued', counts.queued)
  reply.header('content-type', 'application/json; charset=utf-8')
  return reply.code(status).send(body)
}

function sort(prepared: readonly Prepared[]) {
  const events = prepared.filter((event) => event.status === 'prepared')
  const filteredCount = prepared.filter(({ status }) => status === 'filtered').length
  return { events, filteredCount, invalidCount: prepared.length - events.length - filteredCount }
}

const NOTHING_COMMITTED: Receipt = { batch: undefined, duplicates: [], pendingDuplicates: 0 }

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
