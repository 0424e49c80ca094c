/**
 * Browser sessions on the admin port. A session begins with the admin token and ends after twelve hours or with the
 * process, so that no page keeps the token itself.
 *
 * A browser sends the cookie by itself, also when another site or another port of the same host makes it: alone it opens
 * only the routes of consent, which a browser has to reach by its address bar. Everything else requires the session's key beside
 * it, in a header that no other origin can set or read.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { Type } from '../type.ts'
import { NoContent } from './answers.ts'
import type { AdminRoutes } from './options.ts'

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

const TICKETS_KEPT = 1000

/** What is kept for a while under a name that nobody can guess: in memory, so a restart ends it all. `nowMs`: monotonic. */
export function createTickets<Value>(nowMs: () => number, lifeMs: number) {
  const kept = new Map<string, { readonly value: Value; readonly untilMs: number }>()
  return {
    issue(value: Value): string {
      const [oldest] = kept.keys()
      if (kept.size >= TICKETS_KEPT && oldest !== undefined) kept.delete(oldest)
      const ticket = randomBytes(32).toString('base64url')
      kept.set(ticket, { value, untilMs: nowMs() + lifeMs })
      return ticket
    },
    find(ticket: string): Value | undefined {
      const found = kept.get(ticket)
      return found !== undefined && nowMs() < found.untilMs ? found.value : undefined
    },
    end: (ticket: string) => void kept.delete(ticket),
  }
}

/** Compares in constant time, whatever the lengths. */
export function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}

const Login = Type.Closed(
  { admin_token: Type.String({ maxLength: 512 }) },
  { examples: [{ admin_token: 'of ADMIN_TOKEN' }] },
)
const Session = Type.Closed({
  session_key: Type.String({ description: 'To be sent as `x-pinrelay-session-key`, beside the cookie.' }),
  expires_in_seconds: Type.Integer(),
})

export const sessionRoutes: AdminRoutes = async (app, options) => {
  const { adminToken, sessions, refusals } = options
  const open = { config: { takesSession: true } } as const

  const beginning = {
    summary: 'Begin a browser session with the admin token',
    body: Login,
    response: { 200: Session },
  }
  app.post('/session', { ...open, schema: beginning }, async (request, reply) => {
    if (!isSame(request.body.admin_token, adminToken)) throw refusals.note(true)
    const { sessionId, sessionKey } = sessions.begin()
    reply.headers({ 'set-cookie': sessions.cookieOf(sessionId), 'cache-control': 'no-store' })
    return { sessionKey, expiresInSeconds: SESSION_LIFE_S }
  })

  const ending = { summary: 'End the browser session', response: { 204: NoContent } }
  app.delete('/session', { ...open, schema: ending }, async (request, reply) => {
    const sessionId = sessions.find(request.headers.cookie)
    if (sessionId === undefined) throw refusals.note(false)
    sessions.end(sessionId)
    return reply.header('set-cookie', sessions.cookieOf(undefined)).code(204).send()
  })
}
