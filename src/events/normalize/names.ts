/**
 * First and last names: lower case, one kind of space, apostrophe and dash. Accents and all other punctuation stay,
 * because they are part of the name.
 */
import { type Normalized, normalizedAs } from './normalized.ts'

export function normalizeName(text: string): Normalized {
  const lower = text.toLowerCase()
  if (isPlainName(lower)) return normalizedAs(lower)
  return normalizedAs(lower.replace(WHITE_SPACE, ' ').replace(APOSTROPHES, "'").replace(DASHES, '-'))
}

const WHITE_SPACE = /[\s\u0085]+/g
/** Curly ones and U+02BC, which Ukrainian and Breton keyboards write. */
const APOSTROPHES = /[\u2018\u2019\u201B\u02BC]/g
const DASHES = /[\p{Pd}\u2212]/gu

/** Most names are Latin words with one space or hyphen between them, on which the replacements would change nothing. */
function isPlainName(lower: string): boolean {
  return PLAIN_NAME.test(lower)
}

const PLAIN_NAME = /^[a-z'\u00c0-\u024f]+(?:[ -][a-z'\u00c0-\u024f]+)*$/
