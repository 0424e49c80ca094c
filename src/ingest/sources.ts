/**
 * `POST /sources/{id}`: signed webhooks of shops. They are handled like posts, with a signature instead of a key and a mapping before the
 * normalizer, both in the engine. A shop disables a webhook that is refused: it gets a 2xx once its events are on disk,
 * also where nothing was to be sent, and the source's log has what that was.
 *
 * A source that does not exist is handled the same way, up to a signature that no secret matches.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { randomBytes } from 'node:crypto'
import { NotFound, Unauthorized } from '../errors.ts'
import { defaultOptions, namesOf, type Headers, type SourceOptions } from '../sources/source.ts'
import type { PostReceipt } from '../store/engine/posts.ts'
import { preparingOf } from '../vault/records.ts'
import type { Source } from '../vault/vault.ts'
import { createBodyReader } from './arrival.ts'
import { checkEncoding, type IngestOptions, type TakePost } from './take-post.ts'
import { shownName, type WebhookEntry } from './webhook-log.ts'

interface SourceRoute {
  Params: { source_id: string }
}

/** What other posts get as a code. */
const REFUSED_FOR: Readonly<Record<string, string>> = {
  UNAUTHORIZED: 'wrong_signature',
  FST_ERR_CTP_BODY_TOO_LARGE: 'too_large',
}
const HOUR_MS = 3_600_000
/** What WooCommerce sends, unsigned, when a webhook is saved: it wants a 200. */
const PING = /^webhook_id=\d{1,20}$/

/** Where the post limiter is registered already. */
export function routeSources(
  app: FastifyInstance,
  options: IngestOptions,
  { admitBody, beginTrace, take, deliver, noteAnswer }: TakePost,
): void {
  const { vault, readiness, webhookLog, metrics, clock, settings } = options

  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', createBodyReader(settings.BODY_LIMIT_BYTES, clock))
    scope.addHook('onResponse', (request, _reply, done) => {
      const { source, errorCode } = request
      if (source !== undefined && errorCode !== undefined)
        note(source, request, {
          outcome: 'refused',
          reason: REFUSED_FOR[errorCode] ?? errorCode.toLowerCase(),
          isLost: undefined,
        })
      done()
    })
    scope.post<SourceRoute>(
      '/sources/:source_id',
      { onRequest: [admitSource, scope.rateLimit(), admitBody], onResponse: noteAnswer },
      async (request, reply) => {
        const { source } = request
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const headers = headersOf(request)
        if (source !== undefined && isPing(source.options, headers, body)) {
          request.leave?.()
          note(source, request, { outcome: 'ping', reason: undefined, isLost: undefined })
          return TAKEN
        }
        const posted = postedBy(options, source ?? NOBODY, headers)
        const trace = beginTrace(request, reply, posted)

        const receipt = await take(request, reply, body, posted, trace).catch((error: unknown) => {
          if (!(error instanceof Unauthorized)) throw error
          if (source === undefined) throw new NotFound()
          // Anybody may send these: the shop's own posts must pass.
          options.postLimiter.giveBack(request.limited!.key)
          throw error
        })
        const entry = note(source!, request, outcomeOf(source!.options, receipt), receipt.eventCount)
        const { batch } = receipt
        if (batch !== undefined) {
          void deliver(batch, settings.ANSWER_WAIT_MS, trace).then((outcomes) => {
            const { status } = outcomes.find((one) => one.status !== 'delivered') ?? { status: 'delivered' }
            if (entry.outcome === 'queued') entry.outcome = status
            return undefined
          })
        }
        return reply.sent ? reply : TAKEN
      },
    )
  })

  function admitSource(
    request: FastifyRequest<SourceRoute>,
    _reply: FastifyReply,
    done: HookHandlerDoneFunction,
  ): void {
    const source = vault.source(request.params.source_id)
    request.source = source
    const account = source && vault.account(source.adAccountId)
    // Of the source, so that a shop's webhooks do not use up its account's own posts.
    const key = `source/${source?.sourceId ?? ''}`
    request.limited = { key, postsPerMinute: account?.postsPerMinute }
    readiness.check(source?.adAccountId ?? '')
    checkEncoding(request.headers['content-encoding'])
    done()
  }

  function note(
    { sourceId, options: { kind } }: Source,
    request: FastifyRequest,
    { outcome, reason, isLost }: Pick<WebhookEntry, 'outcome' | 'reason' | 'isLost'>,
    events = 0,
  ): WebhookEntry {
    // Anybody may name a topic.
    const names = outcome === 'refused' ? undefined : namesOf(kind, headersOf(request))
    // From 0 on: a rise is only seen after a first value.
    metrics.sourceBadSignatures.inc({ source: sourceId }, reason === 'wrong_signature' ? 1 : 0)
    return webhookLog.note(sourceId, {
      atMs: clock.wallMs(),
      topic: shownName(names?.topic),
      deliveryId: shownName(names?.deliveryId),
      outcome,
      reason,
      events,
      isLost,
    })
  }
}

/** In place of a source that does not exist. */
const NOBODY = { sourceId: '', adAccountId: '', bots: undefined, options: defaultOptions('shopify') }
/** Compared with for it: its 404 takes as long as another one's 401. */
const NOBODYS_SECRET = randomBytes(32).toString('hex')
const NO_ACCOUNT = { accountCountry: undefined, dobFormat: undefined, bots: 'send' } as const

/** Without its account it is taken all the same: events wait until the account is registered again. */
function postedBy(
  { vault, clock, isClockTrusted, settings }: IngestOptions,
  { sourceId, adAccountId, bots, options }: Pick<Source, keyof typeof NOBODY>,
  headers: Headers,
) {
  const oldestMs = isClockTrusted() ? clock.wallMs() - settings.DEDUPE_HOURS * HOUR_MS : 0
  const account = vault.account(adAccountId)
  const preparing = account === undefined ? NO_ACCOUNT : preparingOf(account)
  const secrets = vault.secretsOf(sourceId) ?? [NOBODYS_SECRET]
  return {
    adAccountId,
    isTest: options.isTest,
    source: sourceId,
    account: { ...preparing, bots: bots ?? preparing.bots },
    webhook: { options, secrets, headers, oldestMs },
  }
}

function outcomeOf(
  { kind }: Pick<SourceOptions, 'kind'>,
  { batch, invalidCount, filteredCount, duplicates, remarks }: PostReceipt,
): Pick<WebhookEntry, 'outcome' | 'reason' | 'isLost'> {
  const firstOf = (status: string) => remarks.find((remark) => remark.status === status)
  if (invalidCount > 0) {
    const { error, reason } = firstOf('invalid') ?? {}
    const hasNone = batch === undefined && duplicates.length === 0
    // At a counter, or before a checkout has an address, no customer is known: that is no fault of a shop's webhooks.
    const isUsual = kind !== 'custom' && reason === 'no_identifier'
    return { outcome: 'invalid', reason: error, isLost: hasNone && isUsual ? undefined : hasNone }
  }
  if (filteredCount > 0)
    return { outcome: 'filtered', reason: firstOf('filtered')?.reason, isLost: undefined }
  return { outcome: duplicates.length > 0 ? 'duplicate' : 'queued', reason: undefined, isLost: false }
}

const TAKEN = { status: 'taken' }

function isPing({ kind }: SourceOptions, headers: Headers, body: Buffer): boolean {
  return (
    kind === 'woocommerce' &&
    headers['x-wc-webhook-signature'] === undefined &&
    body.byteLength < 32 &&
    PING.test(body.toString('latin1'))
  )
}

/** One text each. */
function headersOf({ headers }: FastifyRequest): Headers {
  const entries = Object.entries(headers)
  return Object.fromEntries(entries.map(([name, value]) => [name, [value].flat()[0]]))
}
