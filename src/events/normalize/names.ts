/**
 * First and last names: lower case, one kind of space, apostrophe and dash. Accents and all other punctuation stay,
 * because they are part of the name. Without a letter it is no name: `.` and `--` fill in what a form requires.
 */
import { hasEntity } from '../entities.ts'
import { type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export function normalizeName(text: string): Normalized {
  const lower = text.toLowerCase()
  if (isPlainName(lower)) return normalizedAs(lower)
  const name = withApostrophes(lower.replace(WHITE_SPACE, ' ').replace(APOSTROPHES, "'").replace(DASHES, '-'))
  return LETTER.test(name) && !hasEntity(name) ? normalizedAs(name) : UNREADABLE
}

/** An accent between letters stands for an apostrophe. */
function withApostrophes(text: string): string {
  return ACCENTS.test(text) ? text.replace(ACCENTS_BETWEEN_LETTERS, "'") : text
}

const LETTER = /^[a-z]|\p{L}/u
const WHITE_SPACE = /[\s\u0085]+/g
/** Curly ones and U+02BC, which Ukrainian and Breton keyboards write. */
const APOSTROPHES = /[\u2018\u2019\u201B\u02BC]/g
const ACCENTS = /[\u00b4`]/
const ACCENTS_BETWEEN_LETTERS = /(?<=[\p{L}\p{M}])[\u00b4`](?=\p{L})/gu
const DASHES = /[\p{Pd}\u2212]/gu

/** Most names are Latin words with one space or hyphen between them, on which the replacements would change nothing. */
function isPlainName(lower: string): boolean {
  return PLAIN_NAME.test(lower)
}

const PLAIN_NAME =
  /^[a-z\u00df-\u00f6\u00f8-\u024f][a-z0-9.'\u00c0-\u024f]*(?:[ -][a-z0-9.'\u00c0-\u024f]+)*$/
