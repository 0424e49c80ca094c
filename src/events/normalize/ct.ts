/**
 * Cities: lower case, then letters, marks and digits of every script, and nothing else. Lower case comes first, since
 * the form of a Greek sigma depends on the word's end.
 */
import { type Normalized, normalizedAs } from './normalized.ts'

export function normalizeCity(text: string): Normalized {
  return normalizedAs(text.toLowerCase().replace(NOT_PART_OF_A_CITY, ''))
}

const NOT_PART_OF_A_CITY = /[^\p{L}\p{M}\p{N}]+/gu
