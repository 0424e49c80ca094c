/** What a request to the events endpoint says: its token, its `test` parameter, its body. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'

import { answerError } from './answer.ts'
import type { Answer } from './answer.ts'

export type CallBody =
  | { readonly status: 'read'; readonly value: unknown; readonly events: readonly unknown[] | undefined }
  | { readonly status: 'unreadable'; readonly answer: Answer }

export function readCallBody({ headers }: IncomingMessage, body: Buffer | 'too_large'): CallBody {
  const contentType = headers['content-type'] ?? ''
  if (contentType !== 'application/json' && !/^application\/json *(;|$)/i.test(contentType)) {
    return unreadable(415)
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    return unreadable(415, 'The body is encoded.')
  if (body === 'too_large') return unreadable(413)
  if (!isUtf8(body)) return unreadable(400, 'The body is not UTF-8.')
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return { status: 'read', value, events: findEvents(value) }
  } catch {
    return unreadable(400, 'The body is not JSON.')
  }
}

/** `Bearer <token>`, the scheme in any case. */
export function readBearer({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (\S+)$/i.exec(headers.authorization ?? '')?.[1]
}

/** Pinterest documents a boolean; its official Python client sends `True`. Undefined: neither. */
export function readTest(query: string | undefined): boolean | undefined {
  if (query === undefined || query === '') return false
  const word = new URLSearchParams(query).get('test')
  if (word === null || FALSE_WORDS.has(word)) return false
  return TRUE_WORDS.has(word) ? true : undefined
}

const TRUE_WORDS: ReadonlySet<string> = new Set(['true', 'True', '1'])
const FALSE_WORDS: ReadonlySet<string> = new Set(['false', 'False', '0'])

function unreadable(status: number, message?: string): CallBody {
  return { status: 'unreadable', answer: answerError(status, message) }
}

/** The events of a call's body, whatever they are. */
export function findEvents(value: unknown): readonly unknown[] | undefined {
  if (typeof value !== 'object' || value === null || !('data' in value)) return undefined
  return Array.isArray(value.data) ? value.data : undefined
}
