/**
 * Which names the admin port answers to. A web page may have its own name lead to this machine (DNS rebinding), and its
 * scripts then read this port as if it were theirs; but the browser still sends that name as Host. An address cannot be
 * rebound, so any will do: monitoring finds replicas by theirs.
 */
import { isIP } from 'node:net'
import type { Settings } from '../settings.ts'

/** Beside localhost: where it is bound, where browsers reach it, and what else it was told. Addresses among them do no harm. */
export function createHostCheck({
  ADMIN_HOST,
  ADMIN_PUBLIC_URL,
  ADMIN_HOSTS,
}: Pick<Settings, 'ADMIN_HOST' | 'ADMIN_PUBLIC_URL' | 'ADMIN_HOSTS'>): (host: string | undefined) => boolean {
  const browsers = ADMIN_PUBLIC_URL === undefined ? [] : [new URL(ADMIN_PUBLIC_URL).hostname]
  const names = ['localhost', ADMIN_HOST, ...browsers, ...ADMIN_HOSTS]
  const known = new Set(names.map((name) => name.toLowerCase()))
  return (host) => {
    // HTTP/1.0, which no browser speaks.
    if (host === undefined) return true
    const [, name = ''] = /^(\[[^\]]*\]|[^:]*)(?::\d+)?$/.exec(host.toLowerCase()) ?? []
    return known.has(name) || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0
  }
}
