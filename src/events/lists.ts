/**
 * Lists and objects as shops send them: PHP's `array_filter` leaves an object with whole numbers as keys for a list, and tag
 * managers write the JSON of either as text. What is neither is returned unchanged.
 */
import { isAbsent, isObject } from './reading.ts'

/** Longer text is not parsed: its values would escape the bounds on an event's size. */
const MAX_JSON_LENGTH = 32 * 1024

export function listOr(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith('[') ? (parse(value, ']') ?? value) : value
  return numberedOr(value)
}

/** Only what PHP makes. */
export function numberedOr(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return isNumbered(value) ? Object.values(value) : value
}

/** Where one object is expected: also from its JSON, and from a list of one. */
export function objectOr(value: unknown): unknown {
  const list = listOr(value)
  const one: unknown = Array.isArray(list) && list.length === 1 ? list[0] : list
  return typeof one === 'string' && one.startsWith('{') ? (parse(one, '}') ?? one) : one
}

/** The event, whose own objects may come as JSON or in a list of one. */
export function unpackEvent(raw: unknown): unknown {
  if (!isObject(raw)) return raw
  let event = raw
  for (const key of OBJECTS_OF_EVENT) {
    const value = raw[key]
    if (isAbsent(value) || isObject(value)) continue
    const object = objectOr(value)
    if (object !== value) event = { ...event, [key]: object }
  }
  return event
}

const OBJECTS_OF_EVENT = ['user_data', 'custom_data', 'app_info', 'device_info'] as const

function isNumbered(value: object): boolean {
  let count = 0
  for (const key in value) {
    if (!WHOLE_NUMBER.test(key)) return false
    count++
  }
  return count > 0
}

const WHOLE_NUMBER = /^\d+$/

function parse(text: string, end: ']' | '}'): unknown {
  if (text.length > MAX_JSON_LENGTH || !text.trimEnd().endsWith(end)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
