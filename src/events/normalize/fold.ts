/**
 * Folds a name to a key for lookups, never for hashing: case, accents, punctuation, spaces and symbols are gone, so
 * that `Côte d’Ivoire` finds `cote divoire`.
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
