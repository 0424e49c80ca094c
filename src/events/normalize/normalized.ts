import type { WarningCode } from '../warning.ts'

/** What a field's rule made of one value: the text that Pinterest hashes, or why there is none. */
export type Normalized =
  | { readonly status: 'normalized'; readonly text: string; readonly warning?: WarningCode }
  | { readonly status: 'dropped'; readonly code: WarningCode }

/** What the rules of `ph`, `zp`, `st` and `db` need to know beyond the value itself. */
export interface Region {
  /** ISO 3166-1 alpha-2 in lower case: the event's own, or the account's if the event names none. */
  readonly country: string | undefined
  /** How the account writes day and month where both readings are possible. */
  readonly dobFormat: 'DMY' | 'MDY' | undefined
  /** Today, for dates of birth: milliseconds since the epoch. */
  readonly nowMs: number
}

/** A field's rule: pure, never throws, gets cleaned text that is not empty. */
export type Rule = (text: string, region: Region) => Normalized

/** The text as Pinterest hashes it. */
export function normalizedAs(text: string, warning?: WarningCode): Normalized {
  return warning === undefined ? { status: 'normalized', text } : { status: 'normalized', text, warning }
}

export function dropped(code: WarningCode): Normalized {
  return { status: 'dropped', code }
}

/** What a rule answers when it cannot normalize a value with confidence. */
export const UNREADABLE: Normalized = dropped('unreadable')
