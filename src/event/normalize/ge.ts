/** Gender as Pinterest's one letter. The digits are ISO 5218; its 0 (not known) and 9 (not applicable) are nothing. */
import { type Spelling, spelled, UNSPELLABLE } from './spelling.ts'

export function spellGender(text: string): Spelling {
  const letter = LETTERS.get(text.toLowerCase())
  return letter === undefined ? UNSPELLABLE : spelled(letter)
}

const LETTERS: ReadonlyMap<string, string> = new Map([
  ...['f', 'female', 'woman', 'girl', 'w', '2'].map((word) => [word, 'f'] as const),
  ...['m', 'male', 'man', 'boy', '1'].map((word) => [word, 'm'] as const),
  ...['n', 'nonbinary', 'non-binary', 'x', 'diverse'].map((word) => [word, 'n'] as const),
])
