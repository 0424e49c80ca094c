/**
 * The public port: Pinterest's own events endpoint (post-events.ts), webhooks of shops (sources.ts) and two health checks. This file has its server,
 * what all answers share, and how errors are answered.
 */
import rateLimit from '@fastify/rate-limit'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { randomUUID } from 'node:crypto'
import { setImmediate as endOfTurn } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import {
  InvalidRequest,
  NotFound,
  PINTEREST_CODES,
  TooManyPosts,
  UnsupportedMedia,
  codeOf,
  placeOf,
} from '../errors.ts'
import { rateLimitStore } from '../limits/post-limiter.ts'
import type { Settings } from '../settings.ts'
import type { PostAnswer } from './answers.ts'
import type { Source } from '../vault/vault.ts'
import type { Sender } from './auth.ts'
import { createBodyReader } from './arrival.ts'
import { routePostEvents } from './post-events.ts'
import { routeSources } from './sources.ts'
import { createTakePost, type IngestOptions } from './take-post.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Server as NetServer, type Socket } from 'node:net'

export interface PublicServerOptions extends IngestOptions {
  readonly settings: IngestOptions['settings'] & Pick<Settings, 'POSTS_PER_MINUTE' | 'TRUST_PROXY'>
}

declare module 'fastify' {
  interface FastifyRequest {
    sender: Sender | undefined
    source: Source | undefined
    /** Whose post limiter and admission count, and the limit where it is no default. */
    limited: { readonly key: string; readonly postsPerMinute: number | undefined } | undefined
    answer: PostAnswer | undefined
    /** Releases what admission holds for the body. */
    leave: (() => void) | undefined
    errorCode: string | undefined
  }
}

/** Longer than a gateway keeps idle connections (60 s is usual), so that it is never the relay that closes first. */
const KEEP_ALIVE_MS = 75_000
/** From the first byte of a request to its last: a slow client must not hold a connection for ever. */
const REQUEST_TIMEOUT_MS = 60_000
/** How often Node looks for requests that took longer; by default every 30 s. */
const REQUEST_CHECK_MS = 5000

export async function createPublicServer(options: PublicServerOptions): Promise<FastifyInstance> {
  const { readiness, log, settings } = options
  const app = Fastify({
    logger: false,
    trustProxy: settings.TRUST_PROXY.length > 0 ? [...settings.TRUST_PROXY] : false,
    bodyLimit: settings.BODY_LIMIT_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    genReqId: () => randomUUID(),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 200 },
    // A URL that cannot be decoded never reaches a route.
    frameworkErrors: (error, _request, reply) => void sendError(error, reply),
    clientErrorHandler: refuseMalformed,
    // Node's own answer to a request without one has no body: it is refused below.
    http: { requireHostHeader: false, connectionsCheckingInterval: REQUEST_CHECK_MS },
  })
  app.addHook('onRequest', (request, _reply, done) => {
    const lacksHost = request.headers.host === undefined && request.raw.httpVersion === '1.1'
    done(lacksHost ? new InvalidRequest('The header Host is missing.') : undefined)
  })
  app.server.on('checkExpectation', refuseExpectation)
  for (const name of ['sender', 'source', 'limited', 'answer', 'leave', 'errorCode'])
    app.decorateRequest(name, undefined)

  app.removeAllContentTypeParsers()
  const readBody = createBodyReader(settings.BODY_LIMIT_BYTES, options.clock)
  app.addContentTypeParser('application/json', (request, raw, done) => {
    // RFC 8259 knows UTF-8 only, and charset has no meaning for JSON: a body with another one would be misread.
    const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(request.headers['content-type'] ?? '')?.[1]
    if (charset === undefined || /^(utf-?8|us-ascii)$/i.test(charset)) readBody(request, raw, done)
    else done(new UnsupportedMedia('Content-Type must be application/json in UTF-8.'))
  })

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    request.errorCode = codeOf(error)
    // Also where no answer can be sent any more: then no event of the answer would say so.
    request.leave?.()
    return sendError(error, reply)
  })
  app.setNotFoundHandler(() => {
    throw new NotFound()
  })
  function sendError(error: FastifyError, reply: FastifyReply) {
    const [status, code, message] = answerError(error, settings.BODY_LIMIT_BYTES)
    // The post's own log line has the code of any other error.
    if (error.statusCode === undefined || error.statusCode === 500) {
      log.error({ code: codeOf(error), at: placeOf(error) }, 'post failed')
    }
    if (status === 503)
      reply.header('retry-after', error.code === 'CLOCK_IN_DOUBT' ? CLOCK_RETRY_S : UNAVAILABLE_RETRY_S)
    if (status === 401) reply.header('www-authenticate', 'Bearer')
    return reply.code(status).send({ code, message })
  }

  app.addHook('onSend', (request, reply, payload, done) => {
    // A connection ends with its next answer, so that none is closed while a post travels on it; not while a body
    // still comes: its sender would get a reset instead of the answer.
    if (!request.raw.complete) dropBody(request.raw, settings.BODY_LIMIT_BYTES)
    else if (readiness.isShuttingDown()) reply.header('connection', 'close')
    done(null, payload)
  })

  app.get('/livez', () => ({ status: 'live' }))
  app.get('/readyz', (_request, reply) => {
    const problem = readiness.problem()
    return reply.code(problem ? 503 : 200).send({ status: problem ?? 'ready' })
  })
  const limitOf = ({ limited }: FastifyRequest) => limited!.postsPerMinute ?? settings.POSTS_PER_MINUTE
  // For routes that ask for it with `app.rateLimit()`, after the sender is known. A limit of 0 lets every post through.
  await app.register(rateLimit, {
    global: false,
    enableDraftSpec: true,
    store: rateLimitStore(options.postLimiter),
    keyGenerator: (request) => request.limited!.key,
    max: limitOf,
    allowList: (request) => limitOf(request) === 0,
    errorResponseBuilder: (_request, { max }) => new TooManyPosts(max),
  })
  const takePost = createTakePost(options)
  routePostEvents(app, options, takePost)
  routeSources(app, options, takePost)
  return app
}

/** Connections may come faster than they are accepted. */
const LAST_CONNECTIONS_MS = 500

/**
 * Closes the port. Open connections stay: posts come on them until their next answer, which ends them. Closing resets
 * connections that were not accepted yet, and the loop accepts one a turn: so right after a turn without one. The last ones
 * are read afterwards, since an answer brings the next connection of its client. Gateways send the few posts that are
 * still reset unread to another relay.
 */
export async function stopListening({ server }: FastifyInstance, clock: Clock): Promise<void> {
  const last: Socket[] = []
  server.on('connection', (socket) => last.push(socket))
  Object.assign(server, { pauseOnConnect: true })
  const untilMs = clock.monotonicMs() + LAST_CONNECTIONS_MS
  let known = -1
  while (known < last.length && clock.monotonicMs() < untilMs) {
    known = last.length
    await endOfTurn()
  }
  // Not its own `close`, which ends idle connections first: a post that has arrived on one would be reset.
  NetServer.prototype.close.call(server)
  for (const socket of last) socket.resume()
  // What has arrived is in from now on.
  await endOfTurn()
}

/**
 * Of what is answered before its body came: gateways send the body all the same, and pass the answer on when they are done. What
 * is longer than a post may be ends the connection.
 */
function dropBody(request: IncomingMessage, limitBytes: number): void {
  answeredEarly.set(request.socket, request)
  let leftBytes = limitBytes
  request.on('data', ({ byteLength }: Buffer) => {
    leftBytes -= byteLength
    if (leftBytes < 0) request.destroy()
  })
}

/** By connection, the last request that was answered before its body came. */
const answeredEarly = new WeakMap<Socket, IncomingMessage>()

/** Whole seconds: long enough for a restart behind a gateway, short enough for a checkout's queue. */
const UNAVAILABLE_RETRY_S = 5
/** A clock that was set wrong is seldom set right within seconds. */
const CLOCK_RETRY_S = 60

/** The relay's own errors, and Pinterest's code for each; their messages are passed on. */
const { invalid, unavailable } = PINTEREST_CODES
const CODES: Readonly<Record<string, number>> = {
  INVALID_REQUEST: invalid,
  UNAUTHORIZED: PINTEREST_CODES.unauthorized,
  FORBIDDEN: PINTEREST_CODES.forbidden,
  NOT_FOUND: PINTEREST_CODES.noSuchMethod,
  TOO_SLOW: invalid,
  UNSUPPORTED_MEDIA: invalid,
  TOO_MANY_POSTS: PINTEREST_CODES.rateLimited,
  CLOCK_IN_DOUBT: unavailable,
  STORE_UNAVAILABLE: unavailable,
  TOO_BUSY: unavailable,
  SHUTTING_DOWN: unavailable,
}

/** In Pinterest's form. Messages of errors that are not the relay's own are never passed on: they may quote what was sent. */
function answerError(
  { code, statusCode = 500, message }: FastifyError,
  limitBytes: number,
): readonly [status: number, code: number, message: string] {
  const ownCode = CODES[code]
  if (ownCode !== undefined) return [statusCode, ownCode, message]
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return [413, invalid, `The body is over ${limitBytes} bytes.`]
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE')
    return [415, invalid, 'Content-Type must be application/json in UTF-8.']
  // Fastify's own refusals: a body shorter or longer than announced, an empty one, a malformed URL.
  return statusCode >= 400 && statusCode < 500
    ? [400, invalid, 'The request is malformed.']
    : [503, unavailable, 'The relay failed; try again.']
}

/** As Node does, but with a body in the form of the others. */
function refuseExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const body = { code: PINTEREST_CODES.invalid, message: 'Expect: only 100-continue is known.' }
  response.writeHead(417, { 'content-type': JSON_TYPE, connection: 'close' }).end(JSON.stringify(body))
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** What Node's parser cannot read as HTTP gets an answer of the same form, written by hand: there is no reply object. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  // A request that was answered while its body still comes must not be answered again.
  const isAnswered = answeredEarly.get(socket)?.complete === false
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswered) {
    socket.destroy()
    return
  }
  const [status, phrase] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request']
  const body = JSON.stringify({ code: PINTEREST_CODES.invalid, message: `${phrase}.` })
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    `content-type: ${JSON_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
