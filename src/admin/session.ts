/**
 * Browser sessions on the admin port. A session begins with the admin token and ends after twelve hours or with the
 * process, so that no page keeps the token itself.
 *
 * A browser sends the cookie by itself, also when another site or another port of the same host makes it: alone it opens
 * only the routes of consent, which a browser has to reach by its address bar. Everything else wants the session's key beside
 * it, in a header that no other origin can set or read.
 */
import { randomBytes } from 'node:crypto'
import { isSame } from './admin-token.ts'

export interface Sessions {
  begin(): { readonly sessionId: string; readonly sessionKey: string }
  /** The id of the session that a request's `Cookie` header belongs to. */
  find(cookie: string | undefined): string | undefined
  /** Whether both halves are there and belong together: as good as the admin token. */
  opens(cookie: string | undefined, sessionKey: string): boolean
  end(sessionId: string): void
  /** The `Set-Cookie` value for a session, or for none. */
  cookieOf(sessionId: string | undefined): string
}

export interface SessionOptions {
  /** Monotonic. */
  readonly nowMs: () => number
  /** Browsers reach the port by https: the cookie must not travel otherwise. */
  readonly isSecure: boolean
}

export const SESSION_KEY_HEADER = 'x-pinrelay-session-key'
export const SESSION_COOKIE = 'pinrelay_session'
export const SESSION_LIFE_S = 12 * 3600
const SESSIONS_KEPT = 1000

export function createSessions({ nowMs, isSecure }: SessionOptions): Sessions {
  const sessions = new Map<string, { readonly sessionKey: string; readonly untilMs: number }>()
  // Lax, not Strict: the way back from Pinterest's consent page comes from another site.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`

  function find(cookie = ''): string | undefined {
    const [, sessionId = ''] = new RegExp(`(?:^|;\\s*)${SESSION_COOKIE}=([\\w-]+)`).exec(cookie) ?? []
    return nowMs() < (sessions.get(sessionId)?.untilMs ?? -Infinity) ? sessionId : undefined
  }

  return {
    begin() {
      const [oldest] = sessions.keys()
      if (sessions.size >= SESSIONS_KEPT && oldest !== undefined) sessions.delete(oldest)
      const sessionId = randomBytes(32).toString('base64url')
      const sessionKey = randomBytes(32).toString('base64url')
      sessions.set(sessionId, { sessionKey, untilMs: nowMs() + SESSION_LIFE_S * 1000 })
      return { sessionId, sessionKey }
    },
    find,
    opens(cookie, sessionKey) {
      const session = sessions.get(find(cookie) ?? '')
      return session !== undefined && isSame(sessionKey, session.sessionKey)
    },
    end: (sessionId) => void sessions.delete(sessionId),
    cookieOf: (sessionId) =>
      sessionId === undefined
        ? `${SESSION_COOKIE}=; Max-Age=0; ${attributes}`
        : `${SESSION_COOKIE}=${sessionId}; Max-Age=${SESSION_LIFE_S}; ${attributes}`,
  }
}
