/** What to fix first, so that Pinterest can match more of an account's events. Pure; what costs most comes first. */
import { WARNINGS } from '../events/reasons.ts'
import type { MatchQuality } from './tally.ts'

/** Fewer prove nothing. */
const ENOUGH_EVENTS = 20
/** A share of that many is no accident. */
const NOTABLE = 0.01
const MANY = 0.05

/** Codes are stable: `fix_invalid:missing_field`, `check_user_agent`, `send_em`, `fix_warning:unreadable`. */
export function advise({ events, shares, warnings, invalidReasons }: MatchQuality) {
  const advice: { readonly code: string; readonly message: string }[] = []
  if (events < ENOUGH_EVENTS) return advice
  const [worst] = invalidReasons
  if (worst !== undefined && shares.invalid >= NOTABLE) {
    const message = `${percent(shares.invalid)} are invalid and never reach Pinterest, most as ${worst.reason}: relay explain shows the field.`
    advice.push({ code: `fix_invalid:${worst.reason}`, message })
  }
  if (shares.filtered >= MANY) {
    const message = `${percent(shares.filtered)} are filtered as events of bots. If they are orders of customers, client_user_agent is that of your own software: send the browser's.`
    advice.push({ code: 'check_user_agent', message })
  }
  if (shares.invalid + shares.filtered === 1) return advice
  if (shares.late >= MANY) {
    const message = `${percent(shares.late)} come later than an hour: Pinterest counts them as offline and cannot deduplicate them. Send them at once.`
    advice.push({ code: 'send_earlier', message })
  }
  const wanted = [
    ['em', 0.7, 'the e-mail address, the strongest identifier there is'],
    [
      'ip_and_user_agent',
      0.9,
      "the customer's IP address and user agent, both of which every request of a browser has",
    ],
    ['external_id', 0.5, 'your own id of the customer, the same as in the browser tag'],
    ['ph', 0.2, 'the phone number'],
  ] as const
  for (const [field, enough, what] of wanted) {
    if (shares[field] >= enough) continue
    const few = shares[field] === 0 ? 'None has' : `Only ${percent(shares[field])} have`
    advice.push({ code: `send_${field}`, message: `${few} ${what}.` })
  }
  // Only who came by an ad of Pinterest's has one: a share says little, its absence much.
  if (shares.click_id === 0) {
    const message =
      'None has a click id: keep epik from the address of the first page, or send event_source_url with it.'
    advice.push({ code: 'send_click_id', message })
  }
  for (const { code, count } of warnings) {
    const { severity, text } = WARNINGS[code]
    if (severity !== 'lost' || count / events < MANY) continue
    advice.push({ code: `fix_warning:${code}`, message: `${count} values: ${text}` })
  }
  return advice
}

function percent(share: number): string {
  return `${share > 0 && share < 0.01 ? '<1' : Math.round(100 * share)} %`
}
