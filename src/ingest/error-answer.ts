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
  readonly retryAfterS?: number
}

/** Long enough for a restart behind a gateway, short enough for a checkout's queue. */
const UNAVAILABLE_RETRY_S = 5

/** A clock that was set wrong is seldom set right within seconds. */
const CLOCK_RETRY_S = 60

export function answerError(error: FastifyError, bodyLimitBytes: number): ErrorAnswer {
  const { invalid, unavailable } = PINTEREST_CODES
  switch (error.code) {
    case 'INVALID_REQUEST':
      return answer(400, invalid, error.message)
    case 'UNAUTHORIZED':
      return answer(401, PINTEREST_CODES.unauthorized, error.message)
    case 'FORBIDDEN':
      return answer(403, PINTEREST_CODES.forbidden, error.message)
    case 'NOT_FOUND':
      return answer(404, PINTEREST_CODES.noSuchMethod, error.message)
    case 'TOO_SLOW':
      return answer(408, invalid, error.message)
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return answer(413, invalid, `The body is over ${bodyLimitBytes} bytes.`)
    case 'UNSUPPORTED_MEDIA':
      return answer(415, invalid, error.message)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return answer(415, invalid, 'Content-Type must be application/json in UTF-8.')
    case 'TOO_MANY_POSTS':
      return answer(429, PINTEREST_CODES.rateLimited, error.message)
    case 'CLOCK_IN_DOUBT':
      return { ...answer(503, unavailable, error.message), retryAfterS: CLOCK_RETRY_S }
    case 'STORE_UNAVAILABLE':
    case 'TOO_BUSY':
    case 'SHUTTING_DOWN':
      return { ...answer(503, unavailable, error.message), retryAfterS: UNAVAILABLE_RETRY_S }
    default:
      // Fastify's own refusals: a body shorter or longer than announced, an empty one, a malformed URL.
      if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) {
        return answer(400, invalid, 'The request is malformed.')
      }
      return { ...answer(503, unavailable, 'The relay failed; try again.'), retryAfterS: UNAVAILABLE_RETRY_S }
  }
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

function answer(status: number, code: number, message: string): ErrorAnswer {
  return { status, body: { code, message } }
}
