/**
 * Postcodes. In the United States and its territories five digits, whatever spreadsheets did to the leading zeros;
 * elsewhere the letters and digits alone.
 */
import { toPlainDigits } from './digits.ts'
import { type Region, type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'
import { usesUsZip } from './us-territories.ts'

/** The longest postcode has ten characters. */
const MAX_LENGTH = 32

export function normalizePostcode(text: string, region: Region): Normalized {
  if (text.length > MAX_LENGTH) return UNREADABLE
  // Full-width digits are usual in Japan; Pinterest could never match them.
  const plain = toPlainDigits(text)
  if (region.country === undefined ? FULL_ZIP.test(plain) : usesUsZip(region.country))
    return normalizeZip(plain)
  const letters = plain.toLowerCase().replace(NOT_PART_OF_A_POSTCODE, '')
  return letters === '' ? UNREADABLE : normalizedAs(letters)
}

const FULL_ZIP = /^\d{5}(?:\s?[\p{Pd}\u2212]?\s?\d{4})?$/u
const ZIP = /^(\d{3,5})(?:\s?[\p{Pd}\u2212]?\s?\d{4})?$/u
const NOT_PART_OF_A_POSTCODE = /[^\p{L}\p{N}]+/gu

function normalizeZip(text: string): Normalized {
  const digits = ZIP.exec(text)?.[1]
  return digits === undefined ? UNREADABLE : normalizedAs(digits.padStart(5, '0'))
}
