/**
 * Which names the admin port answers to. A web page may have its own name lead to this machine (DNS rebinding), and its
 * scripts then read this port as if it were theirs; but the browser still sends that name as Host. An address cannot be
 * rebound, so any will do: monitoring finds replicas by theirs.
 */
import { isIP } from 'node:net'

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
