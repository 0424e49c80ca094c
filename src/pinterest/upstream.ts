/**
 * Pinterest's address and the connections to it, directly or through the proxy that the settings name. Nothing but
 * settings counts: undici does not read the environment. No proxy for Pinterest: a plain agent, as cheap as ever.
 */
import { Agent, EnvHttpProxyAgent, Pool, type Dispatcher } from 'undici'
import { codeOf } from '../errors.ts'
import type { Settings } from '../settings.ts'

export interface UpstreamOptions {
  readonly settings: Pick<
    Settings,
    'PINTEREST_API_URL' | 'CALL_TIMEOUT_MS' | 'HTTPS_PROXY' | 'HTTP_PROXY' | 'NO_PROXY'
  >
  readonly userAgent: string
}

export type Exchanged =
  | {
      readonly kind: 'answered'
      readonly status: number
      /** The header as it came. */
      readonly retryAfter: string | undefined
      readonly text: string
    }
  | Unanswered

export interface Unanswered {
  readonly kind: 'unanswered'
  /** `proxy`: it did not let the call through. Whether the request may have reached Pinterest is not known for most of these. */
  readonly reason:
    | 'timeout'
    | 'reset'
    | 'refused'
    | 'dns'
    | 'tls'
    | 'proxy'
    | 'truncated'
    | 'too_large'
    | 'other'
}

interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

export function createUpstream(
  { settings, userAgent }: UpstreamOptions,
  { answerBytes, ...pool }: { answerBytes: number; connections: number; keepAliveTimeout?: number },
) {
  const { origin, pathname, protocol } = new URL(settings.PINTEREST_API_URL)
  const basePath = pathname.replace(/\/+$/, '')
  const dispatcher = createDispatcher(settings, protocol, pool)
  return {
    /** `path`: behind the address of the settings. Never rejects. */
    ask: ({ method, path, headers, body }: UpstreamRequest) =>
      exchange(
        dispatcher,
        {
          origin,
          path: basePath + path,
          method,
          headers: { ...headers, accept: 'application/json', 'user-agent': userAgent },
          body: body ?? null,
        },
        settings.CALL_TIMEOUT_MS,
        answerBytes,
      ),
    /** Ends all connections: what is under way resolves as unanswered. */
    close: (): Promise<void> => dispatcher.destroy(),
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

/**
 * One request and its whole answer, within one deadline: a slow drip of an answer would pass timeouts that start anew
 * with each byte. Over undici's `dispatch`: its `request` makes a stream and listens to a signal for each answer, which
 * takes 38 µs per call instead of 23. The answer after informational ones (1xx) counts; redirects are not followed.
 *
 * Never rejects. The connection of an answer that is not read to its end is closed.
 */
function exchange(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
  answerBytes: number,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let controller: Dispatcher.DispatchController | undefined
    let status = 0
    let retryAfter: string | undefined
    let sizeBytes = 0
    let isOver = false
    // Not at once: timers run before I/O. After a pause of the process, answers that came meanwhile are read first.
    const timer = setTimeout(() => setImmediate(() => isOver || giveUp('timeout')), timeoutMs)

    function end(exchanged: Exchanged): void {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      resolve(exchanged)
    }

    const fail = (reason: Unanswered['reason']) => end({ kind: 'unanswered', reason })

    function giveUp(reason: 'timeout' | 'too_large'): void {
      fail(reason)
      controller?.abort(new Error(reason))
    }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        // Its deadline passed before there was a connection for it.
        if (isOver) started.abort(new Error('timeout'))
      },
      onResponseStart(_controller, statusCode, headers) {
        status = statusCode
        ;[retryAfter] = [headers['retry-after']].flat()
      },
      onResponseData(_controller, chunk) {
        sizeBytes += chunk.length
        if (sizeBytes > answerBytes) giveUp('too_large')
        else chunks.push(chunk)
      },
      onResponseEnd() {
        const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString('utf8')
        end({ kind: 'answered', status, retryAfter, text })
      },
      onResponseError: (_controller, error) => fail(reasonOf(error)),
    }
    try {
      dispatcher.dispatch({ ...request, headersTimeout: 0, bodyTimeout: 0 }, handler)
    } catch (error) {
      fail(reasonOf(error))
    }
  })
}

const REASONS: Readonly<Record<string, Unanswered['reason']>> = {
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ETIMEDOUT: 'timeout',
  ECONNREFUSED: 'refused',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  // A CONNECT that was not answered with 200, a connection or a certificate of the proxy's that failed.
  UND_ERR_ABORTED: 'proxy',
  UND_ERR_PRX_CONN: 'proxy',
  UND_ERR_PRX_TLS: 'proxy',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'truncated',
  HPE_INVALID_EOF_STATE: 'truncated',
  UND_ERR_SOCKET: 'reset',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
}
const TLS_CODES = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/

function reasonOf(error: unknown): Unanswered['reason'] {
  const code = codeOf(error)
  return REASONS[code] ?? (TLS_CODES.test(code) ? 'tls' : 'other')
}

export function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

/** Undefined for what is no JSON. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
