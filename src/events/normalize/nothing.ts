/**
 * Values that stand for "nothing": placeholders, which differ by field because Null and Na are names of people and
 * places, and their hashes, which clients send when they hash without looking. If one got through, it would tie all
 * the customers without that identifier together.
 */
import { sha256Hex } from '../hash.ts'

export interface Nothing {
  /** Is the text, in any case, a placeholder of this field? */
  readonly is: (text: string) => boolean
  /** Is it the lower-case hash of one, of an empty text, or of a space? */
  readonly isHashed: (hash: string) => boolean
}

/** What phones report whose owner forbids tracking. */
const ZERO_ADVERTISING_ID = '00000000-0000-0000-0000-000000000000'

/** Of fn, ln and ct. */
export const NOTHING_AS_NAME = createNothing(['undefined', 'n/a', '-', 'unknown'])

/** Of st and country: `na` is Namibia and Napoli, while `N.A.` would become `na` with the dots gone. */
export const NOTHING_AS_PLACE = createNothing([
  'null',
  'undefined',
  'none',
  'nan',
  'n/a',
  'n.a.',
  '-',
  'unknown',
])

/** Of every other field. */
export const NOTHING = createNothing(['null', 'undefined', 'none', 'nan', 'n/a', 'na', '-', 'unknown'])

function createNothing(placeholders: readonly string[]): Nothing {
  const words = new Set([...placeholders, ZERO_ADVERTISING_ID])
  const variants = [...words].flatMap((word) => [word, word.toUpperCase(), titleCase(word)])
  const hashes = new Set(['', ' ', 'NaN', ...variants].map(sha256Hex))
  return {
    is: (text) => isAsShortAsNothing(text) && words.has(text.toLowerCase()),
    isHashed: (hash) => hashes.has(hash),
  }
}

function titleCase(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}

/** Spares nearly every value a lower-case copy. */
function isAsShortAsNothing(text: string): boolean {
  return text.length <= 'undefined'.length || text.length === ZERO_ADVERTISING_ID.length
}
