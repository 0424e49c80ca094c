/**
 * The findings while one event was read: its warnings, at most a few dozen, and the first reason why it is invalid. Rules
 * return values and faults; only the code that walks an object knows paths and writes here.
 */
import type { Invalid, InvalidReason, Warning, WarningCode } from './reasons.ts'
import type { Reading } from './reading.ts'

export interface Report {
  /** Keys and indexes on the way to what is read now. Paths are joined only where they are used. */
  readonly at: Step[]
  readonly warnings: Warning[]
  invalid: Invalid | undefined
  /** Privacy choices that belong elsewhere: `opt_out` as booleans, `opt_out_type` as text. */
  readonly choices: (boolean | string)[]
}

/** Empty for what the other steps lead to. */
export type Step = string | number

/** A body of unknown keys must not make an answer many times its size. */
const MAX_WARNINGS = 32

export function createReport(): Report {
  return { at: [], warnings: [], choices: [], invalid: undefined }
}

export function warn(report: Report, step: Step, code: WarningCode, hint?: string): void {
  const { warnings } = report
  if (warnings.length < MAX_WARNINGS) {
    const path = pathOf(report, step)
    warnings.push(hint === undefined ? { path, code } : { path, code, hint })
  } else if (warnings.length === MAX_WARNINGS) warnings.push({ path: 'event', code: 'more_warnings' })
}

/** Only the first reason is kept. Answers undefined, for callers that have nothing else to answer then. */
export function markInvalid(report: Report, reason: InvalidReason, step: Step, rule: string): undefined {
  const path = pathOf(report, step)
  report.invalid ??= { reason, path, message: `${path}: ${rule}` }
}

export function noteReading(reading: Reading<unknown>, step: Step, report: Report): void {
  switch (reading.status) {
    case 'absent':
      return
    case 'read':
      if (reading.warning !== undefined) warn(report, step, reading.warning, reading.hint)
      return
    case 'dropped':
      warn(report, step, reading.code)
      return
    case 'invalid':
      markInvalid(report, reading.reason, step, reading.rule)
  }
}

/** Such as `custom_data.contents[3].item_price`. */
export function pathOf({ at }: Report, last: Step): string {
  let path = ''
  for (const step of [...at, last]) {
    if (typeof step === 'number') path += `[${step}]`
    else if (step !== '') path += path === '' ? step : `.${step}`
  }
  return path
}

/**
 * Keys in warnings. A storefront chooses the keys of its JSON, so that an unknown one may hold personal data or be
 * megabytes long; only a key that looks like a field's name is shown.
 */
export function safeKey(key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]{0,39}$/.test(key) ? key : '(unnamed)'
}
