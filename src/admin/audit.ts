/**
 * What operators did: `GET /audit` lists it, and every request that changes something is recorded before it is answered.
 * Never a body: only which route, which account or key, and how it ended.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '../type.ts'
import { codeOf } from '../errors.ts'
import { NextCursor, Cursor, PageLimit, readPage } from './answers.ts'
import type { AdminOptions, AdminRoutes } from './options.ts'

const Query = Type.Closed({ limit: Type.Optional(PageLimit), cursor: Type.Optional(Cursor) })

const Entry = Type.Closed({
  id: Type.Integer(),
  at: Type.Time,
  action: Type.String({ description: 'A route, `replay`, `purge`, `erase` or `erased`.' }),
  details: Type.Record(Type.String(), Type.Unknown()),
})

export const auditRoutes: AdminRoutes = async (app, { store }) => {
  const schema = {
    summary: 'What was changed through this port, newest first',
    querystring: Query,
    response: { 200: Type.Closed({ entries: Type.Array(Entry), next_cursor: NextCursor }) },
  }
  app.get('/audit', { schema }, async (request) => {
    const { page, nextCursor } = await readPage(request.query, (query) => store.auditTrail(query))
    return { entries: page, nextCursor }
  })
}

/** Must be called before the routes are registered. */
export function auditChanges(app: FastifyInstance, options: AuditOptions): void {
  app.addHook('onSend', async (request, reply) => {
    if (!mayHaveChanged(request, reply)) return
    await writeAudit(
      options,
      `${request.method} ${request.routeOptions.url ?? ''}`,
      detailsOf(request, reply),
    )
  })
}

type AuditOptions = Pick<AdminOptions, 'store' | 'clock' | 'log'>

/** The change is done: its answer must not be lost as well, so a failure is only logged. */
export async function writeAudit(
  { store, clock, log }: AuditOptions,
  action: string,
  details: Readonly<Record<string, unknown>>,
): Promise<void> {
  try {
    await store.addAudit({ atMs: clock.wallMs(), action, details })
  } catch (error) {
    log.error({ code: codeOf(error), route: action.split(' ').at(-1) }, 'audit entry not written')
  }
}

/** What was refused changed nothing; what failed may have. */
function mayHaveChanged({ method, routeOptions }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  const { url, config } = routeOptions
  if (method === 'GET' || method === 'HEAD' || url === undefined || config.isAudited === false) return false
  return statusCode >= 500 || (statusCode < 400 && config.isAudited !== 'failed')
}

function detailsOf({ params }: FastifyRequest, { statusCode }: FastifyReply) {
  const { id, key_id, source_id } = params as Readonly<Record<string, string | undefined>>
  return { ad_account_id: id, key_id, source: source_id, status: statusCode }
}
