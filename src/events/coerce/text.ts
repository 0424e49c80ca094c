/**
 * Text, trimmed. Blank text is absent. Numbers become text, since many shops have numeric ids; but a whole number
 * beyond 2^53 lost digits when its JSON was parsed, and would stand for somebody else's id.
 */
import { decodeEntities } from '../entities.ts'
import { ABSENT, OUT_OF_RANGE, read, type Reading, type Rule, TOO_LONG, WRONG_TYPE } from './reading.ts'
import { writePlain } from './number.ts'

/** Text of at most `maxLength` UTF-16 units, which is never more than Pinterest counts. */
export function textUpTo(maxLength: number): Rule<string> {
  return (value) => {
    const reading = text(value)
    return reading.status === 'read' && reading.value.length > maxLength ? TOO_LONG : reading
  }
}

export function text(value: unknown): Reading<string> {
  if (typeof value === 'number') return numberAsText(value)
  if (typeof value !== 'string' || !value.isWellFormed()) return WRONG_TYPE
  const trimmed = value.trim()
  return trimmed === '' ? ABSENT : read(trimmed)
}

/** Text that shops store as their forms escaped it, such as names of products and addresses of pages. */
export function decodedText(value: unknown): Reading<string> {
  const reading = text(value)
  return reading.status === 'read' && reading.value.includes(';')
    ? text(decodeEntities(reading.value))
    : reading
}

function numberAsText(value: number): Reading<string> {
  if (!Number.isFinite(value)) return WRONG_TYPE
  const plain = Math.abs(value) > Number.MAX_SAFE_INTEGER ? undefined : writePlain(value)
  return plain === undefined ? OUT_OF_RANGE : read(plain)
}
