/**
 * Which names the admin port answers to. A web page may have its own name lead to this machine (DNS rebinding), and its
 * scripts then read this port as if it were theirs; but the browser still sends that name as Host. An address cannot be
 * rebound, so any will do: monitoring finds replicas by theirs.
 */
import { isIP } from 'node:net'
import type { Settings } from '../settings.ts'

/** `names`: beside localhost; addresses among them do no harm. */
export function createHostCheck(names: readonly string[]): (host: string | undefined) => boolean {
  const known = new Set(['localhost', ...names.map((name) => name.toLowerCase())])
  return (host) => {
    // HTTP/1.0, which no browser speaks.
    if (host === undefined) return true
    const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host.toLowerCase()) ?? []
    return known.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
  }
}

/** What the admin port is called: where it is bound, where browsers reach it, and what else it was told. */
export function hostsOf({
  ADMIN_HOST,
  ADMIN_PUBLIC_URL,
  ADMIN_HOSTS,
}: Pick<Settings, 'ADMIN_HOST' | 'ADMIN_PUBLIC_URL' | 'ADMIN_HOSTS'>): string[] {
  const browsers = ADMIN_PUBLIC_URL === undefined ? [] : [new URL(ADMIN_PUBLIC_URL).hostname]
  return [ADMIN_HOST, ...browsers, ...ADMIN_HOSTS]
}
