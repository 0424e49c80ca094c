/**
 * Browser sessions on the admin port. A session begins with the admin token and ends after twelve hours or with the
 * process, so that no page keeps the token itself.
 *
 * A browser sends the cookie by itself, also when another site or another port of the same host makes it: alone it opens
 * only the routes of consent, which a browser has to reach by its address bar. Everything else wants the session's key beside
 * it, in a header that no other origin can set or read.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Unauthorized } from '../errors.ts'
import { answers, closed, NoContent, Redirect, textOf } from './answers.ts'
import { loginForm, sendPage, wantsHtml } from './html.ts'
import type { AdminRoutes } from './options.ts'
import { createTickets } from './tickets.ts'

export const SESSION_KEY_HEADER = 'x-pinrelay-session-key'
export const SESSION_COOKIE = 'pinrelay_session'
const SESSION_LIFE_S = 12 * 3600

/** `nowMs`: monotonic. `isSecure`: browsers reach the port by https, so the cookie must not travel otherwise. */
export function createSessions(nowMs: () => number, isSecure: boolean) {
  const keys = createTickets<string>(nowMs, SESSION_LIFE_S * 1000)
  // Lax, not Strict: the way back from Pinterest's consent page comes from another site.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`

  /** The id of the session that a request's `Cookie` header belongs to. */
  function find(cookie = ''): string | undefined {
    const [, sessionId = ''] = new RegExp(`(?:^|;\\s*)${SESSION_COOKIE}=([\\w-]+)`).exec(cookie) ?? []
    return keys.find(sessionId) === undefined ? undefined : sessionId
  }

  return {
    begin() {
      const sessionKey = randomBytes(32).toString('base64url')
      return { sessionId: keys.issue(sessionKey), sessionKey }
    },
    find,
    /** Whether both halves are there and belong together: as good as the admin token. */
    opens(cookie: string | undefined, sessionKey: string): boolean {
      const known = keys.find(find(cookie) ?? '')
      return known !== undefined && isSame(sessionKey, known)
    },
    end: keys.end,
    /** The `Set-Cookie` value for a session, or for none. */
    cookieOf: (sessionId = '') =>
      `${SESSION_COOKIE}=${sessionId}; Max-Age=${sessionId === '' ? 0 : SESSION_LIFE_S}; ${attributes}`,
  }
}

/** Compares in constant time, whatever the lengths. */
export function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

const Login = closed(
  {
    admin_token: Type.String({ maxLength: 512 }),
    /** Only where a session is of use: no open redirect. */
    next: Type.Optional(textOf('^/accounts/\\d{1,18}/authorize$', 'must be /accounts/{id}/authorize')),
  },
  { examples: [{ admin_token: 'of ADMIN_TOKEN' }] },
)
const Session = closed({
  session_key: Type.String({ description: 'To be sent as `x-pinrelay-session-key`, beside the cookie.' }),
  expires_in_seconds: Type.Integer(),
})

const LOGIN_LIMIT_BYTES = 4096

export const sessionRoutes: AdminRoutes = async (app, options) => {
  const { adminToken, settings, sessions, refusals } = options
  const consentOrigin = new URL(settings.PINTEREST_CONSENT_URL).origin
  const open = { config: { takesSession: true } } as const

  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: LOGIN_LIMIT_BYTES },
    async (_request: FastifyRequest, body: string) => Object.fromEntries(new URLSearchParams(body)),
  )

  const beginning = {
    summary: 'Begin a browser session with the admin token',
    body: Login,
    response: answers({ 200: Session, 303: Redirect }),
  }
  app.post('/session', { ...open, schema: beginning }, async (request, reply) => {
    const { admin_token, next } = request.body
    if (!isSame(admin_token, adminToken)) {
      await refusals.note(true)
      if (!wantsHtml(request) || next === undefined) throw new Unauthorized()
      return sendPage(reply, 401, loginForm(next, 'That is not the admin token.'), consentOrigin)
    }
    const { sessionId, sessionKey } = sessions.begin()
    reply.headers({ 'set-cookie': sessions.cookieOf(sessionId), 'cache-control': 'no-store' })
    if (next !== undefined) return reply.redirect(next, 303)
    return { session_key: sessionKey, expires_in_seconds: SESSION_LIFE_S }
  })

  const ending = { summary: 'End the browser session', response: answers({ 204: NoContent }) }
  app.delete('/session', { ...open, schema: ending }, async (request, reply) => {
    sessions.end(sessions.find(request.headers.cookie) ?? '')
    return reply.header('set-cookie', sessions.cookieOf(undefined)).code(204).send()
  })
}
