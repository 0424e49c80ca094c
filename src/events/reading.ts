/** What a rule made of one value. A rule is pure, never throws, knows no path, and never gets null or undefined. */
import type { InvalidReason, WarningCode } from './reasons.ts'

export type RawObject = Readonly<Record<string, unknown>>

/** `hint` belongs to the warning, and is no value of the event. */
export interface Read<T> {
  readonly status: 'read'
  readonly value: T
  readonly warning?: WarningCode
  readonly hint?: string
}

/** The field is left out, the event is kept. */
export interface Dropped {
  readonly status: 'dropped'
  readonly code: WarningCode
}

export type Reading<T> =
  | Read<T>
  | Dropped
  /** Nothing was said: blank text, an empty list. */
  | { readonly status: 'absent' }
  /** The event cannot be sent without changing its meaning. `rule` completes "<path>: …" and never holds the value. */
  | { readonly status: 'invalid'; readonly reason: InvalidReason; readonly rule: string }

export type Rule<T> = (value: unknown) => Reading<T>

/** A value of `user_data`: the text as Pinterest hashes it, or why there is none. */
export type Normalized = Read<string> | Dropped

export function read<T>(value: T): Read<T> {
  return { status: 'read', value }
}

export function dropped(code: WarningCode): Dropped {
  return { status: 'dropped', code }
}

export function invalid(reason: InvalidReason, rule: string) {
  return { status: 'invalid', reason, rule } as const
}

export const ABSENT = { status: 'absent' } as const
export const WRONG_TYPE = dropped('wrong_type')
export const OUT_OF_RANGE = dropped('out_of_range')
export const TOO_LONG = dropped('too_long')
/** No rule reads it with confidence. */
export const UNREADABLE = dropped('unreadable')
export const PLACEHOLDER = dropped('placeholder')

/** Explicit nulls mean absence at every level: official clients send one for every field that is not set. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}

/** JSON's objects; PHP writes an empty one as `[]`. */
export function isObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && (!Array.isArray(value) || value.length === 0)
}
