/**
 * Consent through the browser: `/accounts/{id}/authorize` leads to Pinterest's consent page, which leads back to
 * `/oauth/callback`. Begun and finished in one session (session.ts); only these routes take its cookie alone.
 *
 * Each has a random `state`: valid once, for ten minutes, and only in the session that began it, so that no page can
 * inject another person's consent.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from '../type.ts'
import { ConsentInvalid, InvalidRequest, NoGrant, TokenRefused, Unauthorized } from '../errors.ts'
import { NO_CLIENT, SCOPE } from '../vault/granting.ts'
import { findAccount } from './account-view.ts'
import { AccountParams, AdAccountId, Redirect, textOf } from './answers.ts'
import type { AdminRoutes } from './options.ts'
import { createTickets } from './session.ts'

const Callback = Type.Object({
  state: Type.Optional(Type.String({ maxLength: 200 })),
  code: Type.Optional(textOf('^[!-~]+$', 'must be visible ASCII characters', { maxLength: 2048 })),
  error: Type.Optional(Type.String({ maxLength: 200 })),
})
const Authorized = Type.Closed({ ad_account_id: AdAccountId, authorized: Type.Array(AdAccountId) })
const CONSENT_LIFE_MINUTES = 10

export const consentRoutes: AdminRoutes = async (app, options) => {
  const { vault, granting, clock, settings, publicUrl, sessions } = options
  const consents = createTickets<{ readonly adAccountId: string; readonly sessionId: string }>(
    clock.monotonicMs,
    CONSENT_LIFE_MINUTES * 60_000,
  )
  const redirectUri = () => `${publicUrl()}/oauth/callback`

  const open = { config: { takesSession: true } } as const

  const authorizing = {
    summary: "Lead a browser to Pinterest's consent page",
    params: AccountParams,
    response: { 302: Redirect },
  }
  app.get('/accounts/:id/authorize', { ...open, schema: authorizing }, async (request, reply) => {
    const { id: adAccountId } = request.params
    const url = new URL(settings.PINTEREST_CONSENT_URL)
    const sessionId = sessions.find(request.headers.cookie)
    if (sessionId === undefined) {
      if (!wantsHtml(request)) throw new Unauthorized()
      // The console returns here after its login.
      return reply.redirect(`/?next=/accounts/${adAccountId}/authorize`, 302)
    }
    const { clientId } = findAccount(vault, adAccountId)
    if (clientId === undefined) throw new NoGrant(NO_CLIENT)
    // Source: `https://www.pinterest.com/oauth/` as Pinterest's guide to authentication describes it.
    const query = {
      client_id: clientId,
      redirect_uri: redirectUri(),
      response_type: 'code',
      scope: SCOPE,
      state: consents.issue({ adAccountId, sessionId }),
    }
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
    return reply.header('cache-control', 'no-store').redirect(url.href, 302)
  })

  /** The account that this state was begun for. */
  function finish(state: string, sessionId: string | undefined): string {
    const consent = consents.find(state)
    // Another session's attempt must not end the consent of the one that began it.
    if (consent === undefined || consent.sessionId !== sessionId) {
      throw new ConsentInvalid(
        `state: is unknown, used, over ${CONSENT_LIFE_MINUTES} minutes old, or was begun in another browser: open /accounts/{id}/authorize again.`,
      )
    }
    consents.end(state)
    return consent.adAccountId
  }

  const returning = {
    summary: 'Where Pinterest leads the browser back to',
    querystring: Callback,
    response: { 200: Authorized },
  }
  app.get('/oauth/callback', { ...open, schema: returning }, async (request, reply) => {
    const { state = '', code, error } = request.query
    const adAccountId = finish(state, sessions.find(request.headers.cookie))
    if (error !== undefined) {
      const word = /^[a-z_]{1,50}$/.test(error) ? error : 'for a reason that cannot be shown'
      throw new TokenRefused(`error: consent was not given (${word}).`)
    }
    if (code === undefined) throw new InvalidRequest('code: is missing.')
    // Before: where it fails, other accounts may have the grant already.
    request.audited = { ad_account_id: adAccountId }
    const authorized = await granting.useCode(adAccountId, code, redirectUri())
    request.audited = { ad_account_id: adAccountId, authorized }
    if (!wantsHtml(request)) return { adAccountId, authorized }
    const text = `Authorized: ${authorized.join(', ')}. What waited is sent now. POST /accounts/${adAccountId}/conversion-token makes sending independent of refreshes.`
    return sendPage(reply, 200, 'Done', text)
  })
}

export function wantsHtml({ headers }: FastifyRequest): boolean {
  return /\btext\/html\b/.test(headers.accept ?? '')
}

/** No scripts, nothing from elsewhere. */
export function sendPage(reply: FastifyReply, status: number, title: string, text: string): FastifyReply {
  return reply.code(status).headers({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  }).send(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Pinrelay</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 4rem auto; padding: 0 1rem }
</style>
<main>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(text)}</p>
</main>
</html>
`)
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
