/**
 * Wires the parts of a relay; with open-store.ts the only file that chooses implementations. Each part is deferred to be
 * closed where it is opened: last opened, first closed, also when a later part fails to start.
 */
import type { FastifyInstance } from 'fastify'
import { setImmediate, setTimeout as delay } from 'node:timers/promises'
import { createAdminApp } from './admin/app.ts'
import { createPostLimiter } from './limits/post-limiter.ts'
import { createCallLimiter } from './limits/call-limiter.ts'
import { createSharedLimits } from './limits/shared-limits.ts'
import { watchClock } from './clock-watch.ts'
import { orAfter, systemClock, type Clock } from './clock.ts'
import { CannotListen, codeOf, PortTaken } from './errors.ts'
import { CLOSE_MS, type Settings } from './settings.ts'
import { createDelivery } from './delivery/delivery.ts'
import { reportQueues } from './delivery/queue-status.ts'
import { createVerify } from './delivery/verify.ts'
import { createAdmission } from './ingest/admission.ts'
import { createReadiness } from './ingest/health.ts'
import { createPublicServer, stopListening } from './ingest/server.ts'
import { createWebhookLog } from './ingest/webhook-log.ts'
import { createRecentStatistics } from './telemetry/recent-statistics.ts'
import { createStreams, reportVolume } from './telemetry/streams.ts'
import type { Log } from './telemetry/log.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { createPinterestOauth } from './pinterest/oauth.ts'
import type { EngineOptions } from './store/engine/engine.ts'
import { findAdminToken, findMasterKeys, openStore } from './store/open-store.ts'
import { createPinterest } from './pinterest/pinterest.ts'
import { createBreakerPublisher, joinReplicas } from './replicas.ts'
import { keepHouse } from './store/housekeeping.ts'
import { createSnapshots, reportStore, waitingOf } from './store/snapshot.ts'
import { createGranting } from './vault/granting.ts'
import { createQualityFetcher } from './vault/quality.ts'
import { createRefresher } from './vault/refresher.ts'
import { createTokenWatch, reportTokens } from './vault/token-watch.ts'
import { createSealer } from './vault/seal.ts'
import { openVault } from './vault/vault.ts'

export type Relay = Awaited<ReturnType<typeof startRelay>>

export interface RelayOptions {
  readonly settings: Settings
  readonly log: Log
  readonly version: string
  readonly clock?: Clock
  /** Starts the engine in something other than its worker: for tests. */
  readonly startThread?: EngineOptions['startThread']
  /** The relay cannot continue and must be started again; called at most once. */
  readonly onFatal?: () => void
  /** Log lines so far that the output did not take. */
  readonly droppedLogLines?: () => number
}

/**
 * How long closing waits for the answers to requests that are in (posts' own waits have ended), and then for tokens that are being
 * granted: together less than CLOSE_MS.store.
 */
const ANSWERS_PATIENCE_MS = 1000

export async function startRelay(options: RelayOptions) {
  const { settings } = options
  await using opened = new AsyncDisposableStack()
  const base = await openBase(options, opened)
  const sending = openSending(base, opened)
  const ports = await openPorts(base, sending, opened)
  reportMetrics(base, sending, ports)
  // Most parts wait for the store when they are closed: so its time begins before the first of them.
  opened.defer(() => base.engine.endSoon())

  const { shared } = base
  const { delivery, refresher, readiness, quality } = sending
  if (shared !== undefined) await joinReplicas({ ...base, shared, delivery })
  await delivery.start()
  const { adminUrl, publicUrl } = await ports.listen()
  refresher.check()
  quality.start()
  const parts = opened.move()
  return {
    /** Both without a trailing slash. */
    publicUrl,
    adminUrl,
    /** The admin token in force. Never log it. */
    adminToken: base.adminToken,
    /** Whether any account was registered when the relay started. */
    hasAccounts: base.vault.accounts().length > 0,
    /** Ends everything in order; answered events that are not delivered yet stay in the store. */
    async close(): Promise<void> {
      // Gateways ask every few seconds, and send posts until they have seen it.
      readiness.announceShutdown()
      await delay(settings.DRAIN_MS)
      await ports.stopListening()
      // Posts that are in are still committed, and answered by Pinterest's word if their call is in flight.
      await Promise.all([
        delivery.stop(CLOSE_MS.calls),
        refresher.stop(CLOSE_MS.calls),
        orAfter(base.clock, CLOSE_MS.calls, ports.postsTaken()),
      ])
      delivery.endWaiting()
      await parts.disposeAsync()
    },
  }
}

type Base = Awaited<ReturnType<typeof openBase>>
type Sending = ReturnType<typeof openSending>
type Ports = Awaited<ReturnType<typeof openPorts>>

/** What everything else needs: the store and the vault, the ways to Pinterest, the limits, the metrics. */
async function openBase(options: RelayOptions, opened: AsyncDisposableStack) {
  const { settings, log, version, clock = systemClock, onFatal } = options
  const masterKeys = await findMasterKeys(settings)
  const metrics = createMetrics({ version })
  metrics.collect('logLinesDropped', options.droppedLogLines ?? (() => 0))
  // The SDK is loaded only where there is somewhere to send spans to.
  const endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT
  const tracer = endpoint === undefined ? undefined : await import('./telemetry/tracing.ts')
  const tracing = tracer?.createTracing({ ...options, endpoint: endpoint! })
  opened.defer(() => tracing?.close(CLOSE_MS.spans))
  const engine = await openStore({
    settings,
    masterKeys,
    log,
    onGroup({ durationMs, operationCount }) {
      metrics.commitSeconds.observe(durationMs / 1000)
      metrics.commitOperations.observe(operationCount)
    },
    onFatal,
    ...(options.startThread && { startThread: options.startThread }),
  })
  opened.defer(() => engine.close())
  // Not before: a start that the store refuses must leave nothing behind.
  const adminToken = await findAdminToken(settings)
  const { store, vaultStore, shared } = engine
  const takeSnapshot = createSnapshots(store, clock)
  const vault = await openVault({ vaultStore, sealer: createSealer(masterKeys), now: clock.wallMs })
  const recentStatistics = createRecentStatistics({
    clock,
    metrics,
    waiting: async () => waitingOf(await takeSnapshot(), clock),
    archive: vault.statistics,
  })
  opened.defer(() => recentStatistics.close())
  const upstream = { settings, userAgent: `pinrelay/${version}` }
  const pinterest = createPinterest(upstream)
  const oauth = createPinterestOauth({ ...upstream, now: clock.wallMs })
  opened.defer(() => oauth.close())
  const sharedLimits = shared && createSharedLimits({ settings, shared, clock, log })
  opened.defer(() => sharedLimits?.close())
  return {
    settings,
    version,
    adminToken,
    store,
    shared,
    engine,
    vault,
    pinterest,
    oauth,
    callLimiter: sharedLimits?.callLimiter ?? createCallLimiter({ settings, now: clock.monotonicMs }),
    postLimiter: sharedLimits?.postLimiter ?? createPostLimiter(clock.monotonicMs),
    takeSnapshot,
    recentStatistics,
    metrics,
    tracing,
    isClockTrusted: watchClock(clock, log),
    maxEventAgeMs: settings.MAX_EVENT_AGE_HOURS * 3_600_000,
    random: Math.random,
    log,
    clock,
  }
}

/** What calls Pinterest, and what runs now and then. */
function openSending(base: Base, opened: AsyncDisposableStack) {
  const { settings, store, shared, vault, pinterest, metrics, log, clock } = base
  const refresher = createRefresher({
    ...base,
    onRefresh: (outcome) => metrics.tokenRefreshes.inc({ outcome }),
  })
  // `close` has waited for it by then: once more would pass LONGEST_CLOSE_MS.
  opened.defer(() => refresher.stop(0))
  const tokenWatch = createTokenWatch({ ...base, refresher })
  const delivery = createDelivery({
    ...base,
    callsInFlight: settings.CALLS_IN_FLIGHT,
    callsInFlightTotal: settings.CALLS_IN_FLIGHT_TOTAL,
    tokenWatch,
    onBreaker: shared && createBreakerPublisher(shared),
  })
  // Closed in reverse order: calls in flight end with their connections, then the last outcomes are written.
  opened.defer(() => delivery.close())
  opened.defer(() => pinterest.close())
  vault.onAccountChange((adAccountId) => {
    delivery.accountChanged(adAccountId)
    refresher.check()
  })
  const readiness = createReadiness({ store, isStuck: () => delivery.isStuck(), clock, log })
  opened.defer(() => readiness.close())
  const housekeeping = keepHouse(base)
  opened.defer(() => housekeeping.close())
  const quality = createQualityFetcher(base)
  opened.defer(() => quality.close())
  return { refresher, tokenWatch, delivery, readiness, quality }
}

/** The two servers. They take requests once `listen` is called. */
async function openPorts(base: Base, sending: Sending, opened: AsyncDisposableStack) {
  const { settings, vault, postLimiter, log, clock } = base
  const streams = createStreams({ clock, log })
  opened.defer(() => streams.close())
  // Whichever replica deleted it.
  vault.onAccountChange((adAccountId) => {
    if (vault.account(adAccountId) !== undefined) return
    for (const part of [postLimiter, sending.tokenWatch, streams]) part.forget(adAccountId)
  })
  const webhookLog = createWebhookLog()
  const admission = createAdmission(settings.BODY_LIMIT_BYTES, clock)
  const publicApp = await createPublicServer({ ...base, ...sending, streams, webhookLog, admission })
  let closing: Promise<void> | undefined
  const endPublicApp = () => (closing ??= endConnections(publicApp))
  opened.defer(endPublicApp)
  const verify = createVerify({ ...base, ...sending })
  const granting = createGranting({ ...base, ...sending, verify })
  opened.defer(() => granting.ended(ANSWERS_PATIENCE_MS))
  let adminUrl = ''
  const adminApp = await createAdminApp({
    ...base.engine,
    ...base,
    ...sending,
    verify,
    granting,
    streams,
    webhookLog,
    publicUrl: () => settings.ADMIN_PUBLIC_URL ?? adminUrl,
  })
  opened.defer(async () => void (await Promise.all([endPublicApp(), endConnections(adminApp)])))
  return {
    streams,
    async listen() {
      const { HOST, PORT, ADMIN_HOST, ADMIN_PORT } = settings
      adminUrl = await listen(adminApp, 'ADMIN_', ADMIN_HOST, ADMIN_PORT)
      const publicUrl = await listen(publicApp, '', HOST, PORT)
      return { adminUrl, publicUrl }
    },
    stopListening: () => stopListening(publicApp, clock),
    /** Resolves when no post is arriving or on its way into the store. */
    postsTaken: () => admission.emptied(),
  }
}

/** `prefix`: of the settings' names. */
function listen(app: FastifyInstance, prefix: string, host: string, port: number): Promise<string> {
  return app.listen({ host, port }).catch((error: unknown) => {
    const at = `${host.includes(':') ? `[${host}]` : host}:${port}`
    throw codeOf(error) === 'EADDRINUSE'
      ? new PortTaken(`${prefix}PORT`, at)
      : new CannotListen(`${prefix}HOST, ${prefix}PORT`, at, codeOf(error))
  })
}

/** Registers what is collected at scrape time. */
function reportMetrics(base: Base, { readiness, delivery }: Sending, { streams }: Ports): void {
  const { metrics, isClockTrusted, shared } = base
  metrics.collect('ready', () => Number(readiness.problem() === undefined))
  metrics.collect('storeAnswered', () => readiness.answeredAtMs() / 1000)
  metrics.collect('clockInDoubt', () => Number(!isClockTrusted()))
  metrics.collect('accountOverShare', () =>
    Array.from(readiness.overShare(), (adAccountId) => [{ ad_account_id: adAccountId }, 1]),
  )
  metrics.collect('replicas', () => (shared === undefined ? 1 : shared.replicas().catch(() => 0)))
  reportTokens(base)
  reportStore(metrics, base.takeSnapshot)
  reportVolume(metrics, streams)
  reportQueues(base, delivery, base.postLimiter)
}

/** Waits for posts that are being answered. A closing server has no time limit for connections that never finish a post. */
async function endConnections(app: FastifyInstance): Promise<void> {
  const patience = setTimeout(() => app.server.closeAllConnections(), ANSWERS_PATIENCE_MS)
  try {
    // What has arrived on idle connections is read first: closing would reset it.
    await setImmediate()
    await app.close()
  } finally {
    clearTimeout(patience)
  }
}
