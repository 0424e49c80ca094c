/** What every reader of Pinterest's answers needs: bounded bodies, objects out of JSON, and a word for what went wrong. */
import type { Dispatcher } from 'undici'
import type { Unanswered } from './outcome.ts'

/** Undefined when the body is longer than that. */
export async function readLimited(
  body: Dispatcher.ResponseData['body'],
  limitBytes: number,
): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length
    if (sizeBytes > limitBytes) {
      body.destroy()
      return undefined
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

export function headerOf(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

export function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

export function parseObject(json: string): Record<string, unknown> | undefined {
  return asObject(parseJson(json))
}

/** Undefined for what is no JSON. */
export function parseJson(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

export function reasonOf(error: unknown): Unanswered['reason'] {
  const { code } = (error ?? {}) as { code?: unknown }
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
    case 'ETIMEDOUT':
      return 'timeout'
    case 'ECONNREFUSED':
      return 'refused'
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'dns'
    // A CONNECT that was not answered with 200, a connection or a certificate of the proxy's that failed.
    case 'UND_ERR_ABORTED':
    case 'UND_ERR_PRX_CONN':
    case 'UND_ERR_PRX_TLS':
      return 'proxy'
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
    case 'HPE_INVALID_EOF_STATE':
      return 'truncated'
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'reset'
    default:
      return typeof code === 'string' &&
        /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)
        ? 'tls'
        : 'other'
  }
}
