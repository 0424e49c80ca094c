/** What the routes of the admin port are given. */
import type { FastifyPluginAsync, FastifyRequest, FastifyTypeProvider, RawServerDefault } from 'fastify'
import type { Static, TSchema } from '../type.ts'
import type { DeliveryOptions } from '../delivery/options.ts'
import type { IngestOptions } from '../ingest/take-post.ts'
import type { WebhookLog } from '../ingest/webhook-log.ts'
import type { Engine } from '../store/engine/engine.ts'
import type { TakeSnapshot } from '../store/snapshot.ts'
import type { Settings } from '../settings.ts'
import type { RecentStatistics } from '../telemetry/recent-statistics.ts'
import type { Streams } from '../telemetry/streams.ts'
import type { Granting, Verify } from '../vault/granting.ts'
import type { Refresher } from '../vault/refresher.ts'
import type { TokenWatch } from '../vault/token-watch.ts'
import type { RecordOf } from './answers.ts'
import type { Refusals } from './refusals.ts'
import type { createSessions } from './session.ts'

export interface AdminOptions
  extends
    Pick<IngestOptions, 'vault' | 'delivery' | 'readiness' | 'postLimiter' | 'metrics' | 'clock'>,
    Pick<DeliveryOptions, 'store' | 'callLimiter' | 'log' | 'maxEventAgeMs'>,
    Pick<Engine, 'explain' | 'findFault' | 'backUp' | 'recover'> {
  readonly version: string
  readonly verify: Verify
  readonly granting: Granting
  readonly refresher: Refresher
  readonly tokenWatch: TokenWatch
  readonly streams: Streams
  readonly webhookLog: Pick<WebhookLog, 'of'>
  readonly recentStatistics: RecentStatistics
  readonly takeSnapshot: TakeSnapshot
  readonly adminToken: string
  readonly settings: Pick<
    Settings,
    | 'CELL'
    | 'ADMIN_HOST'
    | 'ADMIN_HOSTS'
    | 'ADMIN_PUBLIC_URL'
    | 'BODY_LIMIT_BYTES'
    | 'CALL_BURST'
    | 'DOCS_OPEN'
    | 'METRICS_OPEN'
    | 'PINTEREST_CONSENT_URL'
    | 'POSTS_PER_MINUTE'
    | 'TRAIL_HOURS'
  >
  /** Where browsers reach this port, without a trailing slash; asked once the port is open. */
  readonly publicUrl: () => string
}

interface RouteOptions extends AdminOptions {
  readonly sessions: ReturnType<typeof createSessions>
  readonly refusals: Refusals
  /** By the admin token, or by a session that has not ended. */
  readonly isAllowed: (request: FastifyRequest) => boolean
}

/** A handler answers with the relay's own record, of which the schema of the answer is sent: see `answerOf`. */
export interface AdminTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  readonly serializer: this['schema'] extends TSchema ? RecordOf<Static<this['schema']>> : unknown
}

/** The routes of a resource: each with its schema, its handler and, in `config`, who may ask and whether it is audited. */
export type AdminRoutes = FastifyPluginAsync<RouteOptions, RawServerDefault, AdminTypes>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route checks the browser's session itself. */
    readonly takesSession?: boolean
    /** Anybody may ask. */
    readonly isOpen?: boolean
    /** False: changes nothing, or writes its own audit entries. */
    readonly isAudited?: boolean
  }
  interface FastifyRequest {
    /** What was changed, where the method or the path does not say so. */
    audited: Readonly<Record<string, unknown>> | undefined
  }
}
