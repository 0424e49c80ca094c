/**
 * The findings while one event was read: its warnings, at most a few dozen, and the first reason why it is invalid. Rules
 * return values and faults; only the code that walks an object knows paths and writes here.
 */
import type { Invalid, InvalidReason, Warning, WarningCode } from './reasons.ts'

export interface Report {
  readonly warnings: Warning[]
  invalid: Invalid | undefined
  /** Where a privacy choice is that belongs elsewhere. */
  misplacedChoice: string | undefined
}

/** A body of unknown keys must not make an answer many times its size. */
const MAX_WARNINGS = 32

export function createReport(): Report {
  return { warnings: [], invalid: undefined, misplacedChoice: undefined }
}

export function warn({ warnings }: Report, path: string, code: WarningCode, hint?: string): void {
  if (warnings.length < MAX_WARNINGS)
    warnings.push(hint === undefined ? { path, code } : { path, code, hint })
  else if (warnings.length === MAX_WARNINGS) warnings.push({ path: 'event', code: 'more_warnings' })
}

/** Only the first reason is kept. Answers undefined, for callers that have nothing else to answer then. */
export function markInvalid(report: Report, reason: InvalidReason, path: string, rule: string): undefined {
  report.invalid ??= { reason, path, message: `${path}: ${rule}` }
}

/**
 * Keys in warnings. A storefront chooses the keys of its JSON, so that an unknown one may hold personal data or be
 * megabytes long; only a key that looks like a field's name is shown.
 */
export function safeKey(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(key) ? key : '(unnamed)'
}
