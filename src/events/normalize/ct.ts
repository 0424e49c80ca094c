/**
 * Cities: lower case, then letters, marks and digits of every script, and nothing else. Lower case comes first, since
 * the form of a Greek sigma depends on the word's end.
 */
import { hasEntity } from '../entities.ts'
import { type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export function normalizeCity(text: string): Normalized {
  if (hasEntity(text)) return UNREADABLE
  const city = text.toLowerCase().replace(NOT_PART_OF_A_CITY, '')
  return LETTER.test(city) ? normalizedAs(city) : UNREADABLE
}

const NOT_PART_OF_A_CITY = /[^\p{L}\p{M}\p{N}]+/gu
const LETTER = /^[a-z]|\p{L}/u
