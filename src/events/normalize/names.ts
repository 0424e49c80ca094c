/** Names of people (fn, ln) and of cities (ct). Without a letter it is no name: `.` and `--` fill in what a form requires. */
import { hasEntity } from './clean-text.ts'
import { type Normalized, read, UNREADABLE } from '../reading.ts'

/**
 * Lower case, one kind of space, apostrophe and dash. Accents and all other punctuation stay, because they are part of the
 * name; an accent alone between letters stands for an apostrophe.
 */
export function normalizeName(text: string): Normalized {
  const lower = text.toLowerCase()
  if (PLAIN_NAME.test(lower)) return read(lower)
  const name = lower
    .replace(WHITE_SPACE, ' ')
    .replace(APOSTROPHES, "'")
    .replace(DASHES, '-')
    .replace(ACCENTS_BETWEEN_LETTERS, "'")
  return LETTER.test(name) && !hasEntity(name) ? read(name) : UNREADABLE
}

/**
 * Letters, marks and digits of every script, and nothing else. Lower case comes first, since the form of a Greek sigma depends
 * on the word's end.
 */
export function normalizeCity(text: string): Normalized {
  if (hasEntity(text)) return UNREADABLE
  const city = text.toLowerCase().replace(NOT_PART_OF_A_CITY, '')
  return LETTER.test(city) ? read(city) : UNREADABLE
}

const LETTER = /^[a-z]|\p{L}/u
const WHITE_SPACE = /[\s\u0085]+/g
/** Curly ones and U+02BC, which Ukrainian and Breton keyboards write. */
const APOSTROPHES = /[\u2018\u2019\u201B\u02BC]/g
const ACCENTS_BETWEEN_LETTERS = /(?<=[\p{L}\p{M}])[\u00b4`](?=\p{L})/gu
const DASHES = /[\p{Pd}\u2212]/gu
const NOT_PART_OF_A_CITY = /[^\p{L}\p{M}\p{N}]+/gu

/** Most names are Latin words with one space or hyphen between them, on which the replacements would change nothing. */
const PLAIN_NAME =
  /^[a-z\u00df-\u00f6\u00f8-\u024f][a-z0-9.'\u00c0-\u024f]*(?:[ -][a-z0-9.'\u00c0-\u024f]+)*$/
