/**
 * Recognizes hashes by their shape, whatever is around them: quotes, `sha256:`, upper case, Base64 for
 * hex. SHA-256 passes; other hashes cannot be turned into it and would never match, so that they are dropped.
 */
import { withoutQuotes } from './clean-text.ts'

/** SHA-256 in lower-case hex; null for any other hash. */
type Hash = string | null

/** Undefined for what is no hash. Length and first character decide for nearly all values. */
export function recognizeHash(text: string): Hash | undefined {
  if (LENGTHS.has(text.length)) return hashOfText(text)
  if (text.length < SHORTEST || text.length > LONGEST || !WRAPPED.test(text)) return undefined
  return hashOfText(withoutQuotes(text).replace(PREFIX, ''))
}

/** As Pinterest wants it. */
export function isSha256(value: unknown): value is string {
  return typeof value === 'string' && value.length === 64 && LOWER_HEX.test(value)
}

const LOWER_HEX = /^[0-9a-f]+$/
/** In hex: MD5, SHA-1, SHA-224, SHA-256, SHA-384, SHA-512. In Base64: MD5, SHA-1, SHA-256. */
const LENGTHS: ReadonlySet<number> = new Set([32, 40, 56, 64, 96, 128, 24, 28, 43, 44])
const SHORTEST = 26
const LONGEST = 160
const WRAPPED = /^(?:["'`“”„‘’‚«»]|sha-?256|0x|\\x)/i
const PREFIX = /^\s*(?:sha-?256\s*[:=_-]\s*|0x|\\x)/i
const HEX = /^[0-9a-f]+$/i

const OTHER_LENGTHS: ReadonlySet<number> = new Set([32, 40, 56, 96, 128])
/** The last of 43 characters encodes four bits, so that it is one of sixteen. Both alphabets of RFC 4648. */
const BASE64_OF_32_BYTES = /^[\w+/-]{42}[AEIMQUYcgkosw048]=?$/
const BASE64_OF_16_OR_20_BYTES = /^(?:[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{27}=)$/

function hashOfText(text: string): Hash | undefined {
  if (HEX.test(text)) {
    if (text.length === 64) return text.toLowerCase()
    return OTHER_LENGTHS.has(text.length) ? null : undefined
  }
  if (BASE64_OF_32_BYTES.test(text)) return Buffer.from(text, 'base64').toString('hex')
  return BASE64_OF_16_OR_20_BYTES.test(text) ? null : undefined
}
