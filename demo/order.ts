/**
 * An order of the demo: what the shop sends, value by value, beside what must become of it. From this come the raw
 * event and the exact event that has to arrive. What must arrive is written out by hand, and hashed here, without
 * the relay's own code.
 */
import { createHash } from 'node:crypto'

/** What must become of a value. */
export type Fate =
  /** SHA-256 of this normalized form arrives. */
  | { readonly kind: 'hashed'; readonly spelling: string }
  /** This arrives, unhashed; the relay's answer may say how it came about. */
  | { readonly kind: 'sent'; readonly value: string | number; readonly warning?: string }
  /** Nothing arrives, and the relay's answer carries this warning. */
  | { readonly kind: 'dropped'; readonly warning: string }
  /** Nothing arrives, and nothing is said: there was nothing. */
  | { readonly kind: 'nothing' }

/** Where it is in the event (`user_data` is left out), what the shop sends, its fate. */
export type Line = readonly [path: string, raw: unknown, fate: Fate]

export interface Order {
  readonly title: string
  /** As it must arrive. */
  readonly eventId: string
  /** A field that is named more than once is sent as an array. */
  readonly customer: readonly Line[]
  readonly rest: readonly Line[]
}

export const hashed = (spelling: string): Fate => ({ kind: 'hashed', spelling })
export const sent = (value: string | number, warning?: string): Fate =>
  warning === undefined ? { kind: 'sent', value } : { kind: 'sent', value, warning }
export const dropped = (warning: string): Fate => ({ kind: 'dropped', warning })
export const nothing: Fate = { kind: 'nothing' }

export type Json = { [key: string]: unknown }

export function sha256(text: string): string {
  return createHash('sha256').update(text, 'utf8').digest('hex')
}

/** The event as the shop posts it. */
export function rawEventOf({ customer, rest }: Order): Json {
  const userData: Json = {}
  for (const [field, lines] of byField(customer)) {
    const values = lines.map(([, raw]) => raw)
    userData[field] = values.length > 1 ? values : values[0]
  }
  const event: Json = { user_data: userData }
  for (const [path, raw] of rest) put(event, path, raw)
  return event
}

/** The event as Pinterest must receive it: this, and nothing else. */
export function expectedEventOf({ customer, rest }: Order): Json {
  const userData: Json = {}
  for (const [field, lines] of byField(customer)) {
    const hashes = lines.flatMap(([, , fate]) => (fate.kind === 'hashed' ? [sha256(fate.spelling)] : []))
    const plain = lines.flatMap(([, , fate]) => (fate.kind === 'sent' ? [fate.value] : []))
    if (hashes.length > 0) userData[field] = [...new Set(hashes)]
    else if (plain.length > 0) userData[field] = plain[0]
  }
  const event: Json = { user_data: userData }
  for (const [path, , fate] of rest) if (fate.kind === 'sent') put(event, path, fate.value)
  return event
}

/** The warnings that the answer must carry, as the relay writes them. */
export function expectedWarningsOf({ customer, rest }: Order): string[] {
  const ofCustomer = [...byField(customer)].flatMap(([field, lines]) =>
    lines.flatMap(([, , fate], index) =>
      warningOf(`user_data.${field}${lines.length > 1 ? `[${index}]` : ''}`, fate),
    ),
  )
  return [...ofCustomer, ...rest.flatMap(([path, , fate]) => warningOf(path, fate))]
}

function warningOf(path: string, fate: Fate): string[] {
  const warning = fate.kind === 'sent' || fate.kind === 'dropped' ? fate.warning : undefined
  return warning === undefined ? [] : [`${path}: ${warning}`]
}

/** The customer's data that must not leave the relay: as it was typed and as it is normalized. */
export function secretsOf({ customer }: Order): string[] {
  return customer.flatMap(([, raw, fate]) => {
    if (fate.kind === 'sent' || fate.kind === 'nothing') return []
    const typed = String(raw).trim()
    return fate.kind === 'hashed' ? [typed, fate.spelling] : [typed]
  })
}

export function valueAt(event: Json, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isJson(value) ? value[key] : undefined), event)
}

function byField(lines: readonly Line[]): Map<string, Line[]> {
  return Map.groupBy(lines, ([field]) => field)
}

function put(target: Json, path: string, value: unknown): void {
  const keys = path.split('.')
  const last = keys.pop()!
  let place = target
  for (const key of keys) {
    const inner = place[key]
    if (isJson(inner)) place = inner
    else place[key] = place = {}
  }
  place[last] = value
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
