/**
 * Which of DATABASE_URL's hosts is in use, and whether with TLS, for all connections of a process. Each new connection tries the
 * host that worked last, then the others. A host that does not confirm a commit, or on which a lock timed out, is tried last
 * from then on: it may be a replaced primary that is up again.
 *
 * `allow` and `prefer` are two tries at the same host; the second is made only where the server refused the first for its
 * TLS or the lack of it.
 */
import type { ConnectionOptions as TlsOptions } from 'node:tls'
import { parse } from 'pg-connection-string'
import { BadSettings, codeOf } from '../../errors.ts'
import { SSL_FILES, type DatabaseUrl, type Host } from './database-url.ts'

export interface Target extends Host {
  readonly ssl: false | TlsOptions
  /** Which of the hosts. */
  readonly index: number
}

export type Hosts = ReturnType<typeof createHosts>

/** Reads the files that the URL names. */
export function createHosts(url: DatabaseUrl) {
  const ways = readWays(url)
  const targets = url.hosts.flatMap((host, index) =>
    (host.host.startsWith('/') ? [false as const] : ways).map((ssl) => ({ ...host, ssl, index })),
  )
  let working = 0
  return {
    login: url.login,
    /** With several, a host that takes no writes is passed over. */
    count: url.hosts.length,
    /** Tries every host once, beginning with the last one that worked. Rejects with the most useful of the errors. */
    async dial<Result>(attempt: (target: Target) => Promise<Result>): Promise<Result> {
      const failures: unknown[] = []
      const passedOver = new Set<number>()
      for (const next of [...targets.slice(working), ...targets.slice(0, working)]) {
        if (passedOver.has(next.index)) continue
        try {
          const result = await attempt(next)
          working = targets.indexOf(next)
          return result
        } catch (error) {
          failures.push(error)
          if (!isAboutTls(error)) passedOver.add(next.index)
        }
      }
      throw failures.find((error) => !isOfNetwork(error)) ?? failures[0]
    },
    /** New connections begin with the host after this one. */
    passOver({ index }: Target): void {
      // Others may have passed it over already.
      if (targets[working]!.index !== index) return
      const next = (index + 1) % url.hosts.length
      working = targets.findIndex((other) => other.index === next)
    },
  }
}

function readWays({ sslMode, sslFiles }: DatabaseUrl): (false | TlsOptions)[] {
  if (sslMode === 'disable') return [false]
  // `system`: Node's authorities, the default.
  const files = Object.entries(sslFiles).filter(([, path]) => path !== 'system')
  // The library does not know `allow`.
  const query = new URLSearchParams([...files, ['sslmode', sslMode === 'allow' ? 'prefer' : sslMode]])
  try {
    const { ssl } = parse(`postgres://host/?${query.toString()}`, { useLibpqCompat: true })
    const tls = ssl as TlsOptions
    if (sslMode === 'allow') return [false, tls]
    return sslMode === 'prefer' ? [tls, false] : [tls]
  } catch (error) {
    throw new BadSettings(`DATABASE_URL: a file of ${SSL_FILES.join(', ')} cannot be read (${codeOf(error)})`)
  }
}

/** The server refused the connection for its TLS, or the lack of it. */
function isAboutTls(error: unknown): boolean {
  const { code, message } = (error ?? {}) as { readonly code?: string; readonly message?: string }
  // "no pg_hba.conf entry for …, no encryption"
  if (code === '28000') return true
  return code === undefined ? / SSL connection/.test(message ?? '') : /^(ERR_SSL|ERR_TLS|EPROTO)/.test(code)
}

function isOfNetwork(error: unknown): boolean {
  const { code, severity } = (error ?? {}) as { readonly code?: string; readonly severity?: string }
  return severity === undefined && (code === undefined || /^E[A-Z]+$/.test(code))
}
