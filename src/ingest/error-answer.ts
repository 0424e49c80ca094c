/**
 * Every error of the public port, in Pinterest's form `{code, message}`. Messages of errors that are not the relay's own
 * are never passed on: they may quote what was sent.
 */
import type { FastifyError } from 'fastify'
import type { Socket } from 'node:net'
import { PINTEREST_CODES } from '../errors.ts'

export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly code: number; readonly message: string }
  /** Whole seconds, where it makes sense to come again. */
  readonly retryAfterS: number | undefined
}

/** Long enough for a restart behind a gateway, short enough for a checkout's queue. */
const UNAVAILABLE_RETRY_S = 5

/** A clock that was set wrong is seldom set right within seconds. */
const CLOCK_RETRY_S = 60

/** The relay's own errors, and Pinterest's code for each; their messages are passed on. */
const { invalid, unavailable } = PINTEREST_CODES
const CODES: Readonly<Record<string, number>> = {
  INVALID_REQUEST: invalid,
  UNAUTHORIZED: PINTEREST_CODES.unauthorized,
  FORBIDDEN: PINTEREST_CODES.forbidden,
  NOT_FOUND: PINTEREST_CODES.noSuchMethod,
  TOO_SLOW: invalid,
  UNSUPPORTED_MEDIA: invalid,
  TOO_MANY_POSTS: PINTEREST_CODES.rateLimited,
  CLOCK_IN_DOUBT: unavailable,
  STORE_UNAVAILABLE: unavailable,
  TOO_BUSY: unavailable,
  SHUTTING_DOWN: unavailable,
}

export function answerError(
  { code, statusCode = 500, message }: FastifyError,
  limitBytes: number,
): ErrorAnswer {
  const ownCode = CODES[code]
  if (ownCode === unavailable) {
    return refuse(503, ownCode, message, code === 'CLOCK_IN_DOUBT' ? CLOCK_RETRY_S : UNAVAILABLE_RETRY_S)
  }
  if (ownCode !== undefined) return refuse(statusCode, ownCode, message)
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return refuse(413, invalid, `The body is over ${limitBytes} bytes.`)
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return refuse(415, invalid, 'Content-Type must be application/json in UTF-8.')
  }
  // Fastify's own refusals: a body shorter or longer than announced, an empty one, a malformed URL.
  return statusCode >= 400 && statusCode < 500
    ? refuse(400, invalid, 'The request is malformed.')
    : refuse(503, unavailable, 'The relay failed; try again.', UNAVAILABLE_RETRY_S)
}

function refuse(status: number, code: number, message: string, retryAfterS?: number): ErrorAnswer {
  return { status, body: { code, message }, retryAfterS }
}

/** What Node's parser cannot read as HTTP gets an answer of the same form, written by hand: there is no reply object. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, phrase] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout']
        : [400, 'Bad Request']
  const body = JSON.stringify({ code: PINTEREST_CODES.invalid, message: `${phrase}.` })
  const head = [
    `HTTP/1.1 ${status} ${phrase}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}
