/** Mobile advertising ids: a UUID in lower case. Both Apple's (upper case) and Google's (lower) come in. */
import { type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export function normalizeAdvertisingId(text: string): Normalized {
  return UUID.test(text) ? normalizedAs(text.toLowerCase()) : UNREADABLE
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
