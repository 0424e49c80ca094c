/**
 * Tables of names, and the keys by which they are found: folded for lookups, never for hashing. Case, accents, punctuation,
 * spaces and symbols are gone, so that `Côte d’Ivoire` finds `cote divoire`.
 */
export function foldName(text: string): string {
  const lower = text.toLowerCase()
  // Most names are one ASCII word, which is its own key.
  if (ASCII_KEY.test(lower)) return lower
  return lower
    .normalize('NFKD')
    .replace(NOT_IN_A_KEY, '')
    .replace(UNDECOMPOSED, (letter) => PLAIN[letter] ?? letter)
}

const ASCII_KEY = /^[a-z0-9]+$/

/** Modifier letters (Lm) are apostrophes to people: Hawaiʻi. */
const NOT_IN_A_KEY = /[^\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}]/gu

/** Letters with strokes and ligatures, which Unicode does not take apart. */
const UNDECOMPOSED = /[øłđıßæœðþ]/g
const PLAIN: Readonly<Record<string, string>> = {
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ı: 'i',
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ð: 'd',
  þ: 'th',
}

/** Lower case, of letters, marks and digits alone, of every script. Accents stay: `Çà` is not Canada. */
export function lettersAndDigits(text: string): string {
  // Lower case comes first, since the form of a Greek sigma depends on the word's end.
  return text.toLowerCase().replace(NO_LETTER_OR_DIGIT, '')
}

const NO_LETTER_OR_DIGIT = /[^\p{L}\p{M}\p{N}]+/gu

/** The first word of each entry, and the rest; entries are separated by semicolons. */
export function entriesOf(table: string): readonly (readonly [key: string, value: string])[] {
  return table.split(';').map((entry) => {
    const [key = '', ...words] = entry.trim().split(/:?\s+/)
    return [key, words.join(' ')]
  })
}
