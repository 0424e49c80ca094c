/** Gender as Pinterest's one letter. The digits are ISO 5218; its 0 (not known) and 9 (not applicable) are nothing. */
import { type Normalized, normalizedAs, UNREADABLE } from './normalized.ts'

export function normalizeGender(text: string): Normalized {
  const letter = LETTERS.get(text.toLowerCase())
  return letter === undefined ? UNREADABLE : normalizedAs(letter)
}

const LETTERS: ReadonlyMap<string, string> = new Map([
  ...['f', 'female', 'woman', 'girl', 'w', '2'].map((word) => [word, 'f'] as const),
  ...['m', 'male', 'man', 'boy', '1'].map((word) => [word, 'm'] as const),
  ...['n', 'nonbinary', 'non-binary', 'x', 'diverse'].map((word) => [word, 'n'] as const),
])
