/**
 * What operators did: `GET /audit` tells it, and every request that changes something is written down before it is
 * answered. Never a body: only which route, which account or key, and how it ended.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { codeOf } from '../telemetry/log.ts'
import { answers, closed, NextCursor, Time } from './answers.ts'
import type { AdminOptions } from './app.ts'
import { Cursor, idOfCursor, limitOf, PageLimit, toCursor } from './page.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The key that the request made, which its address cannot tell. */
    madeKeyId: string | undefined
  }
}

const Query = Type.Object(
  { limit: Type.Optional(PageLimit), cursor: Type.Optional(Cursor) },
  { additionalProperties: false },
)

const Entry = Type.Object(
  {
    id: Type.Integer(),
    at: Time,
    action: Type.String({ description: 'A route, `replay` or `purge`.' }),
    details: Type.Record(Type.String(), Type.Unknown()),
  },
  closed,
)

const schema = {
  tags: ['store'],
  summary: 'What was changed through this port, newest first',
  querystring: Query,
  response: answers({ 200: Type.Object({ entries: Type.Array(Entry), next_cursor: NextCursor }, closed) }),
}

const DEFAULT_PAGE = 100

/** Routes that change nothing, or whose every step writes its own entry together with what it does. */
const NOT_HERE: ReadonlySet<string> = new Set([
  'POST /accounts/:id/verify',
  'POST /explain',
  'POST /dead-letters/replay',
  'POST /dead-letters/purge',
])

export const auditRoutes: FastifyPluginAsyncTypebox<AdminOptions> = async (app, { store }) => {
  app.get('/audit', { schema }, async (request) => {
    const limit = limitOf(request.query.limit, DEFAULT_PAGE)
    const trail = await store.auditTrail({ ...idOfCursor(request.query.cursor), limit: limit + 1 })
    const page = trail.slice(0, limit)
    return {
      entries: page.map(({ id, atMs, action, details }) => ({
        id,
        at: new Date(atMs).toISOString(),
        action,
        details,
      })),
      next_cursor: trail.length > limit ? toCursor(page.at(-1)?.id) : null,
    }
  })
}

/** Must be called before the routes are registered. */
export function auditChanges(app: FastifyInstance, { store, clock, log }: AdminOptions): void {
  app.decorateRequest('madeKeyId', undefined)
  app.addHook('onSend', async (request, reply) => {
    const action = `${request.method} ${request.routeOptions.url ?? ''}`
    if (NOT_HERE.has(action) || !mayHaveChanged(request, reply)) return
    try {
      await store.addAudit({ atMs: clock.wallMs(), action, details: tell(request, reply) })
    } catch (error) {
      // The change is done: its answer must not be lost as well.
      log.error({ code: codeOf(error), route: request.routeOptions.url }, 'audit entry not written')
    }
  })
}

/** What was refused changed nothing; what failed may have. */
function mayHaveChanged({ method, routeOptions }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  if (method === 'GET' || method === 'HEAD' || routeOptions.url === undefined) return false
  return statusCode < 400 || statusCode >= 500
}

function tell({ params, madeKeyId }: FastifyRequest, { statusCode }: FastifyReply) {
  const { id, key_id } = params as { readonly id?: string; readonly key_id?: string }
  return { ad_account_id: id, key_id: key_id ?? madeKeyId, status: statusCode }
}
