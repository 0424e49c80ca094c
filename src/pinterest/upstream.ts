/**
 * Pinterest's address and the connections to it, directly or through the proxy that the settings name. Nothing but
 * settings counts: undici's own look at the environment is off. No proxy for Pinterest: a plain agent, as cheap as ever.
 */
import { Agent, EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici'
import type { Settings } from '../settings.ts'
import { exchange, type Exchanged } from './exchange.ts'

export interface UpstreamOptions {
  readonly settings: Pick<
    Settings,
    'PINTEREST_API_URL' | 'CALL_TIMEOUT_MS' | 'HTTPS_PROXY' | 'HTTP_PROXY' | 'NO_PROXY'
  >
  readonly userAgent: string
}

export interface Upstream {
  /** `path`: behind the address of the settings. Never rejects. */
  ask(request: UpstreamRequest): Promise<Exchanged>
  /** Ends all connections: what is under way resolves as unanswered. */
  close(): Promise<void>
}

export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

export function createUpstream(
  { settings, userAgent }: UpstreamOptions,
  { answerBytes, ...pool }: { answerBytes: number; connections: number; keepAliveTimeout?: number },
): Upstream {
  const { origin, pathname, protocol } = new URL(settings.PINTEREST_API_URL)
  const basePath = pathname.replace(/\/+$/, '')
  const dispatcher = createDispatcher(settings, protocol, pool)
  const limits = { timeoutMs: settings.CALL_TIMEOUT_MS, answerBytes }
  return {
    ask: ({ method, path, headers, body = null }) =>
      exchange(
        dispatcher,
        {
          origin,
          path: basePath + path,
          method,
          headers: { ...headers, accept: 'application/json', 'user-agent': userAgent },
          body,
        },
        limits,
      ),
    close: () => dispatcher.destroy(),
  }
}

function createDispatcher(
  { CALL_TIMEOUT_MS, HTTPS_PROXY, HTTP_PROXY, NO_PROXY = '' }: UpstreamOptions['settings'],
  protocol: string,
  pool: object,
): Dispatcher {
  // `connectTimeout`, not `connect`: the connection to a proxy knows only this one.
  const options = { ...pool, pipelining: 1, connectTimeout: CALL_TIMEOUT_MS }
  const proxy = protocol === 'https:' ? HTTPS_PROXY : HTTP_PROXY
  if (proxy === undefined) return new Agent(options)
  return new EnvHttpProxyAgent({
    ...options,
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy: NO_PROXY,
    // A proxy that does not answer CONNECT would hold the connection for undici's five minutes.
    clientFactory: (url, pool) => new Pool(url, { ...pool, headersTimeout: CALL_TIMEOUT_MS }),
  })
}
