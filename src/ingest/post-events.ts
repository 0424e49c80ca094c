/**
 * The way of a post, from top to bottom: admit, prepare and commit (in the engine), deliver, respond.
 *
 * What can be refused without the body is refused before it is read. Once the good events are committed, the post is
 * answered with what is known of each event when the wait ends; delivery continues either way.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import { InvalidRequest } from '../errors.ts'
import { preparingOf } from '../vault/records.ts'
import { answerPost, type PostAnswer } from './answers.ts'
import { authenticate } from './auth.ts'
import { checkEncoding, type IngestOptions, type TakePost } from './take-post.ts'

interface EventsRoute {
  Params: { ad_account_id: string }
  Querystring: Record<string, unknown>
}

/** Where the post limiter is registered already. */
export function routePostEvents(
  app: FastifyInstance,
  { vault, readiness, settings }: IngestOptions,
  { admitBody, beginTrace, take, deliver, noteAnswer }: TakePost,
): void {
  app.post<EventsRoute>(
    '/v5/ad_accounts/:ad_account_id/events',
    { onRequest: [admitSender, app.rateLimit(), admitBody], onResponse: noteAnswer },
    async (request, reply) => {
      const { account, key } = request.sender!
      const queue = { adAccountId: account.adAccountId, isTest: readTest(request.query) }
      const trace = beginTrace(request, reply, queue)
      const { waitMs, applied } = readPrefer(request.headers.prefer, settings.ANSWER_WAIT_MS)
      const { body } = request
      if (!Buffer.isBuffer(body)) throw new InvalidRequest('The body is empty.')

      const posted = { ...queue, keyId: key.keyId, account: preparingOf(account) }
      const receipt = await take(request, reply, body, posted, trace)
      const patienceMs = reply.sent ? 0 : waitMs
      const outcomes = receipt.batch === undefined ? [] : await deliver(receipt.batch, patienceMs, trace)
      if (reply.sent) return reply

      request.answer = answerPost(receipt, outcomes, applied !== undefined)
      return respond(reply, request.answer, applied)
    },
  )

  function admitSender(
    request: FastifyRequest<EventsRoute>,
    _reply: FastifyReply,
    done: HookHandlerDoneFunction,
  ): void {
    request.sender = authenticate(vault, request, request.params.ad_account_id)
    const { adAccountId, postsPerMinute } = request.sender.account
    request.limited = { key: adAccountId, postsPerMinute }
    readiness.check(adAccountId)
    checkEncoding(request.headers['content-encoding'])
    done()
  }
}

function respond(reply: FastifyReply, answer: PostAnswer, applied: string | undefined): FastifyReply {
  const { status, body, counts } = answer
  if (applied !== undefined) reply.header('preference-applied', applied)
  if (counts.queued > 0) reply.header('relay-queued', counts.queued)
  reply.header('content-type', 'application/json; charset=utf-8')
  return reply.code(status).send(body)
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

const LONGEST_WAIT_S = 30

/**
 * Of the Prefer header (RFC 7240), as far as the relay knows preferences: `respond-async` and `wait=N`. Unknown and malformed
 * ones are ignored, as the RFC wants it; the first mention of a preference counts. `applied`: what goes into
 * Preference-Applied; undefined when nothing was asked for: then the answer is never 202.
 */
export function readPrefer(header: string | string[] | undefined, defaultWaitMs: number) {
  if (header === undefined) return { waitMs: defaultWaitMs, applied: undefined }
  const tokens = (Array.isArray(header) ? header.join(',') : header)
    .split(',')
    .map((token) => token.split(';')[0]!.trim().toLowerCase())
  const isAsync = tokens.includes('respond-async')
  const seconds = tokens.map((token) => /^wait\s*=\s*"?(\d{1,15})"?$/.exec(token)?.[1]).find(Boolean)
  if (seconds === undefined) {
    return isAsync ? { waitMs: 0, applied: 'respond-async' } : { waitMs: defaultWaitMs, applied: undefined }
  }
  // Together they mean: wait so long, then answer 202 (RFC 7240, 4.3), as `wait` alone does here.
  const waitS = Math.min(LONGEST_WAIT_S, Number(seconds))
  return { waitMs: waitS * 1000, applied: isAsync ? `respond-async, wait=${waitS}` : `wait=${waitS}` }
}
