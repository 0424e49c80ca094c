/** Logging in and out: a browser session begins with the admin token (session.ts). */
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Unauthorized } from '../errors.ts'
import { isSame } from './admin-token.ts'
import { answers, closed, NoContent } from './answers.ts'
import { loginForm, sendPage, wantsHtml } from './html.ts'
import type { AdminRoutes } from './options.ts'
import { SESSION_LIFE_S } from './session.ts'

const Login = Type.Object(
  {
    admin_token: Type.String({ maxLength: 512 }),
    /** Only where a session is of use: no open redirect. */
    next: Type.Optional(Type.String({ pattern: '^/accounts/\\d{1,18}/authorize$' })),
  },
  { ...closed, examples: [{ admin_token: 'of ADMIN_TOKEN' }] },
)

const Session = Type.Object(
  {
    session_key: Type.String({ description: 'To be sent as `x-pinrelay-session-key`, beside the cookie.' }),
    expires_in_seconds: Type.Integer(),
  },
  closed,
)
const Redirect = Type.Null({ description: 'To where the browser goes on.' })
const tags = ['consent']

const LOGIN_LIMIT_BYTES = 4096

export const sessionRoutes: AdminRoutes = async (app, options) => {
  const { adminToken, consentPageUrl, sessions, refusals } = options
  const consentOrigin = new URL(consentPageUrl).origin
  const open = { config: { takesSession: true } } as const

  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: LOGIN_LIMIT_BYTES },
    async (_request: FastifyRequest, body: string) => Object.fromEntries(new URLSearchParams(body)),
  )

  const beginning = {
    tags,
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

  const ending = { tags, summary: 'End the browser session', response: answers({ 204: NoContent }) }
  app.delete('/session', { ...open, schema: ending }, async (request, reply) => {
    const sessionId = sessions.find(request.headers.cookie)
    if (sessionId !== undefined) sessions.end(sessionId)
    return reply.header('set-cookie', sessions.cookieOf(undefined)).code(204).send()
  })
}
