/**
 * Pinterest's address and the connections to it, directly or through the proxy that the settings name. Nothing but
 * settings counts: undici's own look at the environment is off. No proxy for Pinterest: a plain agent, as cheap as ever.
 */
import { Agent, EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici'
import type { Settings } from '../settings.ts'

export interface UpstreamOptions {
  readonly settings: Pick<
    Settings,
    'PINTEREST_API_URL' | 'CALL_TIMEOUT_MS' | 'HTTPS_PROXY' | 'HTTP_PROXY' | 'NO_PROXY'
  >
  readonly userAgent: string
}

export interface Upstream {
  readonly origin: string
  /** Without a slash at its end. */
  readonly basePath: string
  readonly dispatcher: Dispatcher
}

export function createUpstream(
  { settings }: UpstreamOptions,
  more: { readonly connections: number; readonly keepAliveTimeout?: number },
): Upstream {
  const { PINTEREST_API_URL, CALL_TIMEOUT_MS, HTTPS_PROXY, HTTP_PROXY, NO_PROXY } = settings
  const { origin, pathname, protocol } = new URL(PINTEREST_API_URL)
  // `connectTimeout`, not `connect`: the connection to a proxy knows only this one.
  const options = { ...more, pipelining: 1, connectTimeout: CALL_TIMEOUT_MS }
  const proxy = protocol === 'https:' ? HTTPS_PROXY : HTTP_PROXY
  return {
    origin,
    basePath: pathname.replace(/\/+$/, ''),
    dispatcher:
      proxy === undefined
        ? new Agent(options)
        : new EnvHttpProxyAgent({
            ...options,
            httpProxy: proxy,
            httpsProxy: proxy,
            noProxy: NO_PROXY ?? '',
            // A proxy that does not answer CONNECT would hold the connection for undici's five minutes.
            clientFactory: (url, pool) => new Pool(url, { ...pool, headersTimeout: CALL_TIMEOUT_MS }),
          }),
  }
}
