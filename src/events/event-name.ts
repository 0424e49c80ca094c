/**
 * Event names. Pinterest takes any text and lets advertisers define names of their own. The names that its browser tag, GA4 and
 * Meta have for the same events are mapped, or else they would count as custom events and not be deduplicated against the tag's.
 */
import { identifier } from './event-id.ts'
import { invalid, type Reading, read } from './reading.ts'
import { remembered } from './remembered.ts'
import { MAX_EVENT_NAME_LENGTH } from './schema.ts'

/** In Pinterest's description of its API, and of newer clients. */
const KNOWN_EVENT_NAMES = `
  add_payment_info add_to_cart add_to_wishlist app_install checkout custom initiate_checkout lead page_visit search signup
  subscribe view_category view_content watch_video
  app_open contact customize_product find_location schedule start_trial submit_application`
  .trim()
  .split(/\s+/)
const KNOWN: ReadonlySet<string> = new Set(KNOWN_EVENT_NAMES)

/** Names of GA4 and Meta with one meaning, folded. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  purchase: 'checkout',
  begincheckout: 'initiate_checkout',
  completeregistration: 'signup',
  generatelead: 'lead',
  pageview: 'page_visit',
  viewitem: 'view_content',
  viewitemlist: 'view_category',
  viewsearchresults: 'search',
}

/** By folded name. The tag writes `AddToCart`. */
const MAPPED: ReadonlyMap<string, string> = new Map([
  ...Object.entries(OTHER_NAMES),
  ...KNOWN_EVENT_NAMES.map((name) => [fold(name), name] as const),
])

/** An account's own names for events, and what is sent for them. */
export type EventNames = Readonly<Record<string, string>>

export function isKnownEventName(name: string): boolean {
  return KNOWN.has(name)
}

const NO_TEXT = invalid('unusable_text', 'must be text')

export function eventName(value: unknown, own?: EventNames): Reading<string> {
  const reading = typeof value === 'string' ? identifier(value, MAX_EVENT_NAME_LENGTH) : NO_TEXT
  if (reading.status !== 'read') return reading
  const name = reading.value
  if (own !== undefined && Object.hasOwn(own, name)) return read(own[name]!)
  if (KNOWN.has(name)) return reading
  return readOther(name)
}

/** To find the nearest name takes 90 µs, and a shop has a few of its own. */
const readOther = remembered(1000, (name): Reading<string> => {
  const mapped = MAPPED.get(fold(name))
  if (mapped !== undefined)
    return { status: 'read', value: mapped, warning: 'event_name_mapped', hint: mapped }
  const nearest = nearestName(name)
  const hint = nearest === undefined ? {} : { hint: `nearest: ${nearest}` }
  return { status: 'read', value: name, warning: 'unknown_event_name', ...hint }
})

function fold(name: string): string {
  return name.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '')
}

/** A known name that differs from this one in fewer than half of its letters. */
function nearestName(name: string): string | undefined {
  const folded = fold(name)
  let nearest: string | undefined
  let least = Math.ceil(folded.length / 2)
  for (const [known, answer] of MAPPED) {
    if (Math.abs(known.length - folded.length) >= least) continue
    const distance = countEdits(folded, known)
    if (distance < least) [nearest, least] = [answer, distance]
  }
  return nearest
}

/** Levenshtein's distance. */
function countEdits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 0; i < one.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < other.length; j++) {
      const replaced = row[j]! + (one[i] === other[j] ? 0 : 1)
      next.push(Math.min(replaced, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row.at(-1)!
}
