/**
 * The steps that all posts share: the body is read once it is admitted, goes to the engine, is prepared
 * and committed there, and is counted.
 */
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Clock } from '../clock.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { EventOutcome } from '../delivery/batch.ts'
import { SenderLeft, StoreUnavailable, UnsupportedMedia } from '../errors.ts'
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { Settings } from '../settings.ts'
import { createSlots } from '../slots.ts'
import type { Engine } from '../store/engine/engine.ts'
import type { Post, PostReceipt } from '../store/engine/posts.ts'
import type { LeasedBatch, QueueKey } from '../store/store.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Streams } from '../telemetry/streams.ts'
import { isInvalidReason, isWarning, wordsOf } from '../telemetry/tally.ts'
import type { PostTrace, Tracing } from '../telemetry/tracing.ts'
import type { Vault } from '../vault/vault.ts'
import type { Admission } from './admission.ts'
import type { Readiness } from './health.ts'
import type { WebhookLog } from './webhook-log.ts'

/** What the routes of the public port work with. */
export interface IngestOptions {
  readonly vault: Vault
  readonly readiness: Readiness
  readonly engine: Pick<Engine, 'takePost' | 'withdrawPost'>
  readonly delivery: Delivery
  readonly postLimiter: PostLimiter
  readonly admission: Admission
  readonly webhookLog: WebhookLog
  readonly log: Log
  readonly metrics: Metrics
  readonly streams: Pick<Streams, 'note'>
  readonly tracing: Tracing | undefined
  readonly clock: Clock
  /** Whether ages can be believed: see clock-watch.ts. */
  readonly isClockTrusted: () => boolean
  readonly settings: Pick<Settings, 'ANSWER_WAIT_MS' | 'BODY_LIMIT_BYTES' | 'DEDUPE_HOURS'>
}

/** Whose post it is, and how the engine reads it. */
type Posted = Omit<Post, 'payload' | 'postId' | 'receivedAtMs' | 'isClockTrusted'>

/** A post that the engine has. */
interface UnderWay {
  readonly postId: number
  readonly reply: FastifyReply
  readonly isWebhook: boolean
}

export type TakePost = ReturnType<typeof createTakePost>

export function createTakePost(options: IngestOptions) {
  const { readiness, engine, delivery, admission, metrics, tracing, clock } = options
  const underWay = createSlots<UnderWay>()
  let lastPostId = 0

  readiness.onCheck((isStalled) => {
    for (const { postId, reply, isWebhook } of underWay) {
      // Where the store hangs, the post is answered; what is committed later is still delivered.
      if (isStalled) void reply.send(new StoreUnavailable())
      // Its sender left, and will post again. Not every shop does.
      if (reply.request.socket.destroyed && !isWebhook) engine.withdrawPost(postId)
    }
  })

  function endStage(stage: 'prepare' | 'commit', durationMs: number, trace: PostTrace | undefined): void {
    metrics.postStageSeconds.observe({ stage }, durationMs / 1000)
    trace?.stage(stage, durationMs)
  }

  /** A hook: the body is read once it is admitted. */
  function admitBody(request: FastifyRequest, _reply: FastifyReply, done: HookHandlerDoneFunction): void {
    admission.enter(request, request.limited!.key, (error, leave) => {
      request.leave = leave
      done(error)
    })
  }

  /** Prepares, commits and counts. Rejects with what the post is refused for; nothing was taken then. */
  async function take(
    request: FastifyRequest,
    reply: FastifyReply,
    body: Buffer,
    posted: Posted,
    trace: PostTrace | undefined,
  ): Promise<PostReceipt> {
    // The raw body leaves this thread.
    request.body = undefined
    if (request.socket.destroyed) throw new SenderLeft()
    // It may be so since the post was admitted: then no check would answer it.
    readiness.check(posted.adAccountId)
    const postId = ++lastPostId
    const slot = underWay.add({ postId, reply, isWebhook: posted.webhook !== undefined })
    const beganMs = clock.monotonicMs()
    try {
      const time = { receivedAtMs: clock.wallMs(), isClockTrusted: options.isClockTrusted() }
      const receipt = await engine.takePost({ ...posted, ...time, payload: body, postId })
      endStage('prepare', receipt.prepareMs, trace)
      endStage('commit', clock.monotonicMs() - beganMs - receipt.prepareMs, trace)
      count(options, posted.adAccountId, receipt)
      return receipt
    } finally {
      request.leave?.()
      underWay.take(slot)
    }
  }

  async function deliver(
    batch: LeasedBatch,
    waitMs: number,
    trace: PostTrace | undefined,
  ): Promise<readonly EventOutcome[]> {
    const beganMs = clock.monotonicMs()
    const outcomes = await delivery.send(batch, waitMs, trace)
    if (waitMs > 0)
      metrics.postStageSeconds.observe({ stage: 'outcome' }, (clock.monotonicMs() - beganMs) / 1000)
    return outcomes
  }

  function beginTrace(request: FastifyRequest, reply: FastifyReply, queue: QueueKey): PostTrace | undefined {
    if (tracing === undefined) return undefined
    const { headers } = request
    const route = (request.routeOptions.url ?? '').replaceAll(/:(\w+)/g, '{$1}')
    const trace = tracing.beginPost({ route, queue, headers, elapsedMs: reply.elapsedTime })
    // Not only when it is answered: a client may leave first.
    reply.raw.once('close', () =>
      trace?.end(reply.statusCode, request.errorCode, request.answer?.counts.events),
    )
    return trace
  }

  /** A hook: of each post, whatever its answer is. */
  function noteAnswer(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    metrics.posts.inc({ status: String(reply.statusCode) })
    if (!choseToWait(reply)) metrics.postSeconds.observe(reply.elapsedTime / 1000)
    logPost(options.log, request, reply)
    done()
  }

  return { admitBody, take, deliver, beginTrace, noteAnswer }
}

function count({ metrics, streams }: IngestOptions, adAccountId: string, receipt: PostReceipt): void {
  metrics.countEvents(adAccountId, 'invalid', receipt.invalidCount)
  metrics.countEvents(adAccountId, 'filtered', receipt.filteredCount)
  metrics.countEvents(adAccountId, 'duplicate', receipt.duplicates.length)
  for (const tally of receipt.tallies) {
    for (const [word, n] of wordsOf(tally.counts)) {
      if (isWarning(word)) metrics.eventWarnings.inc({ code: word }, n)
      else if (isInvalidReason(word)) metrics.eventsInvalid.inc({ reason: word }, n)
    }
    if (!receipt.isTest) streams.note(adAccountId, tally)
  }
}

/** `Prefer: wait=N`: how long such a post takes says nothing of the relay. */
function choseToWait(reply: FastifyReply): boolean {
  return /wait=[1-9]/.test(String(reply.getHeader('preference-applied')))
}

function logPost(log: Log, request: FastifyRequest, reply: FastifyReply): void {
  const { sender, source, answer } = request
  log.info(
    {
      post_id: request.id,
      ad_account_id: sender?.account.adAccountId ?? source?.adAccountId,
      source: source?.sourceId,
      key_id: sender?.key.keyId,
      status: reply.statusCode,
      code: request.errorCode,
      events: answer?.counts.events,
      invalid: answer?.counts.invalid || undefined,
      rejected: answer?.counts.rejected || undefined,
      filtered: answer?.counts.filtered || undefined,
      duplicates: answer?.counts.duplicates || undefined,
      queued: answer?.counts.queued || undefined,
      duration_ms: Math.round(reply.elapsedTime * 10) / 10,
    },
    'post answered',
  )
}

export function checkEncoding(encoding: string | undefined): void {
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new UnsupportedMedia('Content-Encoding is not supported.')
  }
}
