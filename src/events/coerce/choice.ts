/** Fields that take one of a few words: flags and enumerations. Case and white space around do not matter. */
import { ABSENT, OUT_OF_RANGE, read, type Reading, invalid, type Rule, WRONG_TYPE } from './reading.ts'

/** `true`, `"true"`, `1`, `"1"` and their opposites. */
export function flag(value: unknown): Reading<boolean> {
  if (typeof value === 'boolean') return read(value)
  const word = typeof value === 'string' ? value.trim().toLowerCase() : value
  switch (word) {
    case 'true':
    case '1':
    case 1:
      return read(true)
    case 'false':
    case '0':
    case 0:
      return read(false)
    case '':
      return ABSENT
    default:
      return WRONG_TYPE
  }
}

export function oneOf<Word extends string>(words: readonly Word[]): Rule<Word> {
  const known = new Map<string, Word>(words.map((word) => [word, word]))
  return (value) => {
    if (typeof value !== 'string') return WRONG_TYPE
    const text = value.trim().toLowerCase()
    const word = known.get(text)
    if (word !== undefined) return read(word)
    return text === '' ? ABSENT : OUT_OF_RANGE
  }
}

/** For privacy choices: what cannot be read costs the event, since leaving it out could undo the choice. */
export function privacyChoice<T>(rule: Rule<T>, expected: string): Rule<T> {
  const unreadable = invalid('unreadable_opt_out', `must be ${expected}`)
  return (value) => {
    const reading = rule(value)
    return reading.status === 'dropped' ? unreadable : reading
  }
}
