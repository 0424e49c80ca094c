/**
 * The event's customer data, with the click id of its page, and the one thing that Pinterest requires of it: that
 * something is left to tell the customer by.
 */
import { withClickId } from './click-id.ts'
import { isObject, type RawObject } from './coerce/object.ts'
import { isAbsent } from './coerce/reading.ts'
import { normalizeUserData, type NormalizedUserData, type NormalizeContext } from './normalize/user-data.ts'
import { safeKey } from './normalize/path.ts'
import { noteChoice } from './privacy.ts'
import { markInvalid, type Report, warn } from './report.ts'
import type { UserData } from './schema.ts'
import { renderWarnings, type Warning } from './warning.ts'

/** Undefined once the event is invalid. `eventSourceUrl` is where a missing click id is looked for. */
export function readUserData(
  raw: unknown,
  eventSourceUrl: string | undefined,
  context: NormalizeContext,
  report: Report,
): UserData | undefined {
  if (isAbsent(raw)) return markInvalid(report, 'missing_field', 'user_data', 'is missing')
  if (!isObject(raw)) return markInvalid(report, 'not_an_object', 'user_data', 'must be an object')
  const warnings: Warning[] = []
  const complete = eventSourceUrl === undefined ? raw : withClickId(raw, eventSourceUrl, context)
  const userData = normalizeUserData(complete, context, (path, code) => warnings.push({ path, code }))
  for (const { path, code } of warnings) warn(report, path, code)
  if (warnings.some(({ code }) => code === 'unknown_field')) noteChoices(raw, report)
  return hasIdentifier(userData)
    ? (userData as UserData)
    : markInvalid(report, 'no_identifier', 'user_data', whatIsMissing(warnings))
}

function noteChoices(raw: RawObject, report: Report): void {
  for (const [key, value] of Object.entries(raw)) {
    if (!isAbsent(value)) noteChoice(key, value, `user_data.${safeKey(key)}`, report)
  }
}

/** At most so many dropped values are named. */
const MAX_TOLD = 16

function hasIdentifier(userData: NormalizedUserData): boolean {
  if (userData.em !== undefined || userData.hashed_maids !== undefined) return true
  return userData.client_ip_address !== undefined && userData.client_user_agent !== undefined
}

function whatIsMissing(warnings: readonly Warning[]): string {
  const rule = 'needs em, or hashed_maids, or client_ip_address together with client_user_agent'
  const dropped = warnings.filter(({ code }) => code !== 'phone_without_country').slice(0, MAX_TOLD)
  return dropped.length === 0 ? rule : `${rule}; dropped were ${renderWarnings(dropped)}`
}
