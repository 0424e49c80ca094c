/**
 * Lists as shops send them: PHP's `array_filter` leaves an object with whole numbers as keys, and tag managers write the
 * JSON of a list as text. What looks like neither comes back as it is.
 */

/** Longer text is not parsed: its values would escape the bounds on an event's size. */
const MAX_JSON_LENGTH = 32 * 1024

export function listOr(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('[') ? (parseList(value) ?? value) : value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return isNumbered(value) ? Object.values(value) : value
}

function isNumbered(value: object): boolean {
  let count = 0
  for (const key in value) {
    if (!WHOLE_NUMBER.test(key)) return false
    count++
  }
  return count > 0
}

const WHOLE_NUMBER = /^\d+$/

function parseList(text: string): readonly unknown[] | undefined {
  if (text.length > MAX_JSON_LENGTH || !text.trimEnd().endsWith(']')) return undefined
  try {
    return JSON.parse(text) as readonly unknown[]
  } catch {
    return undefined
  }
}
