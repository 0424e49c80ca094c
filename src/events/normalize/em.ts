/**
 * E-mail addresses: lower case, without white space. Dots and plus tags stay, since Pinterest hashes what the customer
 * registered with. Whatever is not plainly one address is dropped.
 */
import { type Normalized, read, UNREADABLE } from '../reading.ts'

/** 64 for the local part, the sign, 255 for the domain (RFC 5321). */
const MAX_LENGTH = 320

export function normalizeEmail(text: string): Normalized {
  const lower = text.toLowerCase()
  if (lower.length <= MAX_LENGTH && PLAIN_ADDRESS.test(lower)) return read(lower)
  const address = toUsualWidth(text).replace(WHITE_SPACE, '').toLowerCase().replace(MAILTO, '$1')
  if (address.length > MAX_LENGTH || !LOOKS_LIKE_ADDRESS.test(address)) return UNREADABLE
  const labels = address.slice(address.indexOf('@') + 1).split('.')
  return labels.length > 1 && labels.every((label) => LABEL.test(label)) ? read(address) : UNREADABLE
}

/** The common case, on which the other rules would change nothing. */
const PLAIN_ADDRESS = /^[a-z0-9._+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+$/
const WHITE_SPACE = /[\s\u0085]+/g
/** A mail link may carry a subject after `?`. */
const MAILTO = /^mailto:([^?]*).*$/s
/** One `@`; no quotes, brackets, commas, colons. An apostrophe may stand inside (`o'connor@`), not quote the whole. */
const LOOKS_LIKE_ADDRESS = /^[^@"'`“”„«»‘’()<>[\]{},:;\\][^@"`“”„«»‘’()<>[\]{},:;\\]*@[^@]+$/u
const LABEL = /^[\p{L}\p{M}\p{N}-]+$/u

/** Japanese and Chinese keyboards write `ｎａｍｅ＠ｅｘａｍｐｌｅ。ｃｏｍ`; mail knows none of these characters. */
function toUsualWidth(text: string): string {
  return text.replace(OTHER_WIDTH, (letters) => letters.normalize('NFKC')).replaceAll('\u3002', '.')
}

const OTHER_WIDTH = /[\uff00-\uffef\ufe50-\ufe6f]+/g
