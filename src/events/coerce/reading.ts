/** What a rule made of one value. A rule is pure, never throws, knows no path, and never gets null or undefined. */
import type { InvalidReason } from '../invalid.ts'
import type { WarningCode } from '../warning.ts'

export type Reading<T> =
  /** `hint` belongs to the warning, and is no value of the event. */
  | { readonly status: 'read'; readonly value: T; readonly warning?: WarningCode; readonly hint?: string }
  /** Nothing was said: blank text, an empty list. */
  | { readonly status: 'absent' }
  /** The field is left out, the event goes on. */
  | { readonly status: 'dropped'; readonly code: WarningCode }
  /** The event cannot be sent without lying about it. `rule` completes "<path>: …" and never holds the value. */
  | { readonly status: 'invalid'; readonly reason: InvalidReason; readonly rule: string }

export type Rule<T> = (value: unknown) => Reading<T>

export function read<T>(value: T): Reading<T> {
  return { status: 'read', value }
}

export const ABSENT = { status: 'absent' } as const
export const WRONG_TYPE = { status: 'dropped', code: 'wrong_type' } as const
export const OUT_OF_RANGE = { status: 'dropped', code: 'out_of_range' } as const
export const TOO_LONG = { status: 'dropped', code: 'too_long' } as const

export function invalid(reason: InvalidReason, rule: string) {
  return { status: 'invalid', reason, rule } as const
}

/** Explicit nulls stand for absence at every level: official clients send one for every field that is not set. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined
}
