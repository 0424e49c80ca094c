/**
 * Browser sessions on the admin port, for pages that a browser has to reach by itself. A session begins with the admin
 * token and ends after twelve hours or with the process. The cookie counts only where a route says so: everything that
 * changes something asks for the bearer token, which no other site can make a browser send.
 */
import { randomBytes } from 'node:crypto'

export interface Sessions {
  /** Answers the new session's id. */
  begin(): string
  /** The id of the session that a request's `Cookie` header belongs to. */
  find(cookie: string | undefined): string | undefined
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

const COOKIE = 'pinrelay_session'
const SESSION_LIFE_S = 12 * 3600
const SESSIONS_KEPT = 1000

export function createSessions({ nowMs, isSecure }: SessionOptions): Sessions {
  const untilMs = new Map<string, number>()
  // Lax, not Strict: the way back from Pinterest's consent page comes from another site.
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  return {
    begin() {
      const [oldest] = untilMs.keys()
      if (untilMs.size >= SESSIONS_KEPT && oldest !== undefined) untilMs.delete(oldest)
      const sessionId = randomBytes(32).toString('base64url')
      untilMs.set(sessionId, nowMs() + SESSION_LIFE_S * 1000)
      return sessionId
    },
    find(cookie = '') {
      const [, sessionId = ''] = new RegExp(`(?:^|;\\s*)${COOKIE}=([\\w-]+)`).exec(cookie) ?? []
      return nowMs() < (untilMs.get(sessionId) ?? -Infinity) ? sessionId : undefined
    },
    end: (sessionId) => void untilMs.delete(sessionId),
    cookieOf: (sessionId) =>
      sessionId === undefined
        ? `${COOKIE}=; Max-Age=0; ${attributes}`
        : `${COOKIE}=${sessionId}; Max-Age=${SESSION_LIFE_S}; ${attributes}`,
  }
}
