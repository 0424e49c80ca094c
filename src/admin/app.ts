/**
 * The admin port: for the people and machines that operate the relay. Every route asks for the admin token or a session
 * that began with it, but for the console's own files and, when METRICS_OPEN is set, `/metrics`. Answers never hold a
 * token or a stored key.
 */
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import { TypeBoxValidatorCompiler, type TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { PostLimiter } from '../limits/post-limiter.ts'
import type { CallLimiter } from '../limits/call-limiter.ts'
import type { Clock } from '../clock.ts'
import type { Delivery } from '../delivery/delivery.ts'
import type { Verify } from '../delivery/verify.ts'
import { NotFound, Unauthorized, WrongHost } from '../errors.ts'
import { bearerOf } from '../ingest/auth.ts'
import type { Readiness } from '../ingest/health.ts'
import type { MatchQuality } from '../telemetry/match-quality.ts'
import type { RecentStatistics } from '../telemetry/recent-statistics.ts'
import { codeOf, type Log } from '../telemetry/log.ts'
import type { VolumeWatch } from '../telemetry/volume-watch.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { RecoverReport } from '../store/sqlite/recover-file.ts'
import type { TakeSnapshot } from '../store/snapshot.ts'
import type { Store } from '../store/store.ts'
import type { Vault } from '../vault/vault.ts'
import type { Granting } from '../vault/granting.ts'
import type { TokenHealth } from '../vault/health.ts'
import type { Refresher } from '../vault/refresher.ts'
import { accountRoutes } from './accounts.ts'
import { isSame } from './admin-token.ts'
import { auditChanges, auditRoutes } from './audit.ts'
import { totalsRoutes } from './totals.ts'
import { consentRoutes } from './consent.ts'
import { consoleRoutes } from './console.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { explainRoutes } from './explain.ts'
import { createHostCheck } from './host.ts'
import { notice, sendPage, wantsHtml } from './html.ts'
import { keyRoutes } from './keys.ts'
import { liveRoutes } from './live.ts'
import { matchQualityRoutes } from './match-quality.ts'
import { describeRoutes, openapiRoutes } from './openapi.ts'
import { qualityRoutes } from './quality.ts'
import { createRefusals, LONGEST_DELAY_MS } from './refusals.ts'
import { resealRoutes } from './reseal.ts'
import { recoverRoutes } from './recover.ts'
import { createSessions, SESSION_KEY_HEADER } from './session.ts'
import { volumeRoutes } from './volume.ts'

export interface AdminOptions {
  readonly version: string
  readonly vault: Vault
  readonly store: Store
  readonly delivery: Delivery
  readonly verify: Verify
  readonly granting: Granting
  readonly refresher: Refresher
  readonly tokenHealth: TokenHealth
  readonly matchQuality: MatchQuality
  readonly volumeWatch: VolumeWatch
  readonly recentStatistics: RecentStatistics
  readonly takeSnapshot: TakeSnapshot
  readonly readiness: Readiness
  readonly postLimiter: PostLimiter
  readonly callLimiter: CallLimiter
  /** CALL_BURST and POSTS_PER_MINUTE: what full buckets hold. */
  readonly callBurst: number
  readonly postsPerMinute: number
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Clock
  /** Live events older than this are not queued again. */
  readonly maxEventAgeMs: number
  /** Of a post: as large a one can be explained. */
  readonly bodyLimitBytes: number
  readonly adminToken: string
  /** Names that it answers to, beside localhost and addresses. */
  readonly hosts: readonly string[]
  readonly metricsOpen: boolean
  /** Pinterest's page where people consent. */
  readonly consentPageUrl: string
  /** Where browsers reach this port, without a trailing slash; asked once the port is open. */
  readonly publicUrl: () => string
  /** Undefined when no queue of that name was quarantined. */
  readonly recover: (file: string) => Promise<RecoverReport | undefined>
  /** An account is gone: nothing else should remember it. */
  readonly onAccountDeleted: (adAccountId: string) => void
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route looks for the browser's session itself. */
    readonly takesSession?: boolean
    /** Anybody may read it: it holds nothing but the console's own files. */
    readonly isOpen?: boolean
  }
}

export type AdminApp = FastifyInstance

const BODY_LIMIT_BYTES = 64 * 1024

export async function createAdminApp(options: AdminOptions): Promise<AdminApp> {
  const { metrics, metricsOpen, log, adminToken } = options
  const sessions = createSessions({
    nowMs: options.clock.monotonicMs,
    isSecure: options.publicUrl().startsWith('https:'),
  })
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: 200 },
    forceCloseConnections: true,
  })
    .withTypeProvider<TypeBoxTypeProvider>()
    .setValidatorCompiler(TypeBoxValidatorCompiler)

  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const { status, message } = tell(error)
    if (status >= 500) log.error({ code: codeOf(error) }, 'admin request failed')
    if (status === 429) reply.header('retry-after', LONGEST_DELAY_MS / 1000)
    if (request.routeOptions.config.takesSession === true && wantsHtml(request)) {
      return sendPage(reply, status, notice('That did not work', message))
    }
    return reply.code(status).send({ code: codeOf(error), message })
  })
  app.setNotFoundHandler(() => {
    throw new NotFound()
  })

  const refusals = createRefusals(options)
  const isKnownHost = createHostCheck(options.hosts)

  app.addHook('onRequest', async (request) => {
    if (!isKnownHost(request.headers.host)) throw new WrongHost()
    if (metricsOpen && request.routeOptions.url === '/metrics') return
    const { takesSession, isOpen } = request.routeOptions.config
    if (takesSession === true || isOpen === true) return
    const { authorization } = request.headers
    if (isSame(bearerOf(authorization) ?? '', adminToken)) return
    const sessionKey = request.headers[SESSION_KEY_HEADER]
    if (typeof sessionKey === 'string' && sessions.opens(request.headers.cookie, sessionKey)) return
    // An old session's key is none: pages ask with it until somebody logs in again, and nobody guesses 256 bits.
    await refusals.note(Boolean(authorization))
    throw new Unauthorized()
  })
  app.addHook('onResponse', (request, reply, done) => {
    const { method, routeOptions } = request
    // What changes something is worth a line; a scrape every few seconds is not.
    if (method !== 'GET') {
      log.info({ method, route: routeOptions.url, status: reply.statusCode }, 'admin request answered')
    }
    done()
  })

  auditChanges(app, options)
  await describeRoutes(app, options.version)

  const measuring = {
    tags: ['insight'],
    summary: 'For Prometheus; without the admin token when METRICS_OPEN=true',
    response: { 200: { type: 'string' } },
  }
  app.get('/metrics', { schema: measuring }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.render()),
  )
  await app.register(accountRoutes, options)
  await app.register(consentRoutes, { ...options, sessions, refusals })
  await app.register(qualityRoutes, options)
  await app.register(matchQualityRoutes, options)
  await app.register(volumeRoutes, options)
  await app.register(keyRoutes, options)
  await app.register(totalsRoutes, options)
  await app.register(deadLetterRoutes, options)
  await app.register(explainRoutes, options)
  await app.register(resealRoutes, options)
  await app.register(recoverRoutes, options)
  await app.register(auditRoutes, options)
  await app.register(liveRoutes, options)
  await app.register(consoleRoutes)
  await app.register(openapiRoutes, { version: options.version })
  return app
}

/** A body of unknown keys must not make an answer many times its size. */
const MOST_PLACES_TOLD = 20

/** Texts of errors that are not the relay's own may quote what was sent; those are not passed on. */
function tell(error: FastifyError): { status: number; message: string } {
  if (error.validation) {
    const places = error.validation.map(
      ({ instancePath, message }) => `${instancePath.slice(1).replaceAll('/', '.') || 'body'}: ${message}`,
    )
    return { status: 400, message: [...new Set(places)].slice(0, MOST_PLACES_TOLD).join('; ') }
  }
  const status = error.statusCode ?? 500
  if (error.code?.startsWith('FST_')) return { status, message: 'The request is malformed.' }
  if (error.statusCode === undefined) return { status, message: 'The relay failed.' }
  return { status, message: error instanceof SyntaxError ? 'The body is not JSON.' : error.message }
}
