/**
 * The steps that every value of `user_data` takes before its field's rule: text or a number, well-formed, HTML entities
 * decoded once, no unfilled template, no invisible characters, NFC, trimmed. Also bounds the work that one value can cause.
 */
import { decodeHTMLStrict } from 'entities/decode'
import { dropped, type Normalized, PLACEHOLDER, read, TOO_LONG, UNREADABLE, WRONG_TYPE } from '../reading.ts'

/** No identifier is this long; user agents stay below 2,000. Keeps one value from stalling the loop. */
const MAX_LENGTH = 4096

export function cleanText(value: unknown): Normalized {
  const text = typeof value === 'number' ? writeNumber(value) : value
  if (typeof text !== 'string') return WRONG_TYPE
  if (text.length > MAX_LENGTH) return TOO_LONG
  if (!TO_CLEAN.test(text)) return orEmpty(text.trim())
  const decoded = decodeEntities(text)
  if (holdsTemplate(decoded)) return PLACEHOLDER
  // A letter was lost on the way: half of a surrogate pair is missing, or U+FFFD is in its place.
  if (decoded.includes('\ufffd') || !decoded.isWellFormed()) return dropped('broken_text')
  const composed = toNfc(withoutInvisible(decoded))
  return composed === undefined ? UNREADABLE : orEmpty(trimWhiteSpace(composed))
}

export function withoutInvisible(text: string): string {
  return text.replace(INVISIBLE, '')
}

/** Without the pair of quotes around a value that CSV exports and careless JSON leave there. */
export function withoutQuotes(text: string): string {
  return QUOTED.exec(text)?.[1]?.trim() ?? text
}

const QUOTED = /^["'`“”„‘’‚«»](.*)["'`“”„‘’«»]$/s

/**
 * NFC, or undefined for text with more than 30 marks in a row. Sorting marks takes quadratic time, and Unicode's
 * Stream-Safe Text Format (UAX #15) finds no use for more in any language.
 */
export function toNfc(text: string): string | undefined {
  if (!BEYOND_LATIN.test(text)) return text
  return TOO_MANY_MARKS.test(text) ? undefined : text.normalize('NFC')
}

/** A template without its value that is left within other text: `{{ customer.id }}-1`. */
export function holdsTemplate(text: string): boolean {
  return HELD_TEMPLATE.test(text)
}

const HELD_TEMPLATE = /\{\{[^{}]*\}\}|[$#]\{[^{}]*\}|\{%[^{}]*%\}|%%[^%]+%%|\*\|[^|]*\|\*|<%[^<>]*%>/

/** Format and control characters but for white space, variation selectors, fillers, tags, the place of an embedded object. */
const INVISIBLE =
  /[\p{Cf}\p{Variation_Selector}\u034f\u115f\u1160\u3164\uffa0\ufffc\u{e0000}-\u{e007f}]|(?![\t-\r\x85])\p{Cc}/gu
/** Anchored at the beginning of a run: from each of its marks, it would be read thirty times. */
const TOO_MANY_MARKS = /(?:^|\P{M})\p{M}{31}/u
const NEXT_LINE = '\u0085'

/**
 * What the common case has none of, for which every Unicode step is the identity: most values skip four scans and a copy.
 * Left are printable ASCII, Latin letters with accents as one character each, and curly apostrophes, as in `María O’Connor`.
 * Searching for one character takes a quarter less time than matching all.
 */
const BEYOND_LATIN = /[^\x20-\x7e\u00c0-\u024f\u2018\u2019]/

/** The same, and `&`, which may begin an entity, and `%`, `{` and `|`, one of which is in every template. */
const TO_CLEAN = /[^\x20-\x24\x27-\x7a\x7d\x7e\u00c0-\u024f\u2018\u2019]/

/** A whole number above 2^53 has already lost digits in JSON.parse: it would be somebody else's id. */
function writeNumber(value: number): string | undefined {
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? String(value) : undefined
}

/** `trim` knows all of Unicode's white space but U+0085; a `\s+$` regexp would take quadratic time. */
function trimWhiteSpace(text: string): string {
  let trimmed = text.trim()
  while (trimmed.startsWith(NEXT_LINE)) trimmed = trimmed.slice(1).trimStart()
  while (trimmed.endsWith(NEXT_LINE)) trimmed = trimmed.slice(0, -1).trimEnd()
  return trimmed
}

function orEmpty(text: string): Normalized {
  return text === '' ? PLACEHOLDER : read(text)
}

/**
 * HTML entities: shops store and send what their forms escaped. Decoded once, as the page would show it. Only those that end in a
 * semicolon: `?a=1&copy=2` is an address with two parameters.
 */
export function decodeEntities(text: string): string {
  return text.includes(';') && text.includes('&') ? decodeHTMLStrict(text) : text
}

/** Still escaped after it was decoded once: escaped twice, so that nobody knows what was typed. */
export function hasEntity(text: string): boolean {
  return text.includes('&') && decodeHTMLStrict(text) !== text
}
