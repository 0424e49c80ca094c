/**
 * Consent through the browser: `/accounts/{id}/authorize` leads to Pinterest's consent page, which leads back to
 * `/oauth/callback`. Begun and finished in one session (session.ts); only these routes take its cookie alone.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { ConsentInvalid, InvalidRequest, NoGrant, TokenRefused, Unauthorized } from '../errors.ts'
import { findAccount } from './account-view.ts'
import { bearerOf } from '../ingest/auth.ts'
import { codeOf } from '../telemetry/log.ts'
import { CONSENT_LIFE_MS, consentUrl, createConsents } from '../vault/consent.ts'
import { NO_CLIENT, SCOPE } from '../vault/granting.ts'
import { isSame } from './admin-token.ts'
import { AccountParams, AdAccountId, answers, closed } from './answers.ts'
import { loginForm, notice, sendPage, wantsHtml } from './html.ts'
import type { AdminRoutes } from './options.ts'

const Callback = Type.Object({
  state: Type.Optional(Type.String({ maxLength: 200 })),
  code: Type.Optional(Type.String({ minLength: 1, maxLength: 2048, pattern: '^[!-~]+$' })),
  error: Type.Optional(Type.String({ maxLength: 200 })),
})
const Authorized = Type.Object({ ad_account_id: AdAccountId, authorized: Type.Array(AdAccountId) }, closed)
const tags = ['consent']
const Redirect = Type.Null({ description: 'To where the browser goes on.' })

export const consentRoutes: AdminRoutes = async (app, options) => {
  const { vault, store, granting, clock, log, adminToken, consentPageUrl, publicUrl, sessions, refusals } =
    options
  const consents = createConsents(clock.monotonicMs)
  const consentOrigin = new URL(consentPageUrl).origin
  const redirectUri = () => `${publicUrl()}/oauth/callback`

  /** The request's session; one begins with the bearer token. */
  function sessionOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
    const known = sessions.find(request.headers.cookie)
    if (known !== undefined) return known
    if (!isSame(bearerOf(request.headers.authorization) ?? '', adminToken)) return undefined
    const { sessionId } = sessions.begin()
    reply.header('set-cookie', sessions.cookieOf(sessionId))
    return sessionId
  }

  const open = { config: { takesSession: true } } as const

  const authorizing = {
    tags,
    summary: "Lead a browser to Pinterest's consent page",
    params: AccountParams,
    response: answers({ 302: Redirect }),
  }
  app.get('/accounts/:id/authorize', { ...open, schema: authorizing }, async (request, reply) => {
    const { id: adAccountId } = request.params
    const sessionId = sessionOf(request, reply)
    if (sessionId === undefined) {
      await refusals.note(Boolean(request.headers.authorization))
      if (!wantsHtml(request)) throw new Unauthorized()
      return sendPage(reply, 401, loginForm(`/accounts/${adAccountId}/authorize`), consentOrigin)
    }
    const account = findAccount(vault, adAccountId)
    if (account.clientId === undefined) throw new NoGrant(NO_CLIENT)
    const state = consents.begin({ adAccountId, sessionId })
    const query = { clientId: account.clientId, redirectUri: redirectUri(), scope: SCOPE, state }
    return reply.header('cache-control', 'no-store').redirect(consentUrl(consentPageUrl, query), 302)
  })

  const returning = {
    tags,
    summary: 'Where Pinterest leads the browser back to',
    querystring: Callback,
    response: answers({ 200: Authorized }),
  }
  app.get('/oauth/callback', { ...open, schema: returning }, async (request, reply) => {
    const { state = '', code, error } = request.query
    const adAccountId = consents.finish(state, sessions.find(request.headers.cookie))
    if (adAccountId === undefined) {
      throw new ConsentInvalid(
        `state: is unknown, used, over ${CONSENT_LIFE_MS / 60_000} minutes old, or was begun in another browser: open /accounts/{id}/authorize again.`,
      )
    }
    if (error !== undefined) {
      const word = /^[a-z_]{1,50}$/.test(error) ? error : 'for a reason that cannot be shown'
      throw new TokenRefused(`error: consent was not given (${word}).`)
    }
    if (code === undefined) throw new InvalidRequest('code: is missing.')
    const authorized = await granting.useCode(adAccountId, code, redirectUri())
    await writeDown(adAccountId, authorized)
    if (!wantsHtml(request)) return { ad_account_id: adAccountId, authorized }
    const text = `Authorized: ${authorized.join(', ')}. What waited goes on now. POST /accounts/${adAccountId}/conversion-token makes sending independent of refreshes.`
    return sendPage(reply, 200, notice('Done', text))
  })

  /** The address is read, so the audit of changes would not see it. */
  async function writeDown(adAccountId: string, authorized: readonly string[]): Promise<void> {
    const details = { ad_account_id: adAccountId, authorized, status: 200 }
    try {
      await store.addAudit({ atMs: clock.wallMs(), action: 'GET /oauth/callback', details })
    } catch (error) {
      log.error({ code: codeOf(error) }, 'audit entry not written')
    }
  }
}
