/** Reads values of a shop's payload by path, and fills templates with them. Inherited properties are never read. */

import type { Consent } from './source.ts'

export type Json = Readonly<Record<string, unknown>>

export function isJsonObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `customer.id`; of a list of `{name, value}` or `{key, value}` the value with that name: `note_attributes.event_id`. */
export function valueAt(payload: unknown, path: string): unknown {
  let value = payload
  for (const step of path.split('.')) {
    if (Array.isArray(value)) value = findNamed(value, step)
    else if (!isJsonObject(value) || !Object.hasOwn(value, step)) return undefined
    else value = step === 'id' ? idOf(value) : value[step]
  }
  return value
}

function findNamed(list: readonly unknown[], name: string): unknown {
  const entry = list.find((one) => isJsonObject(one) && (one['name'] === name || one['key'] === name))
  return isJsonObject(entry) ? entry['value'] : list[Number(name)]
}

/** Ids beyond 2^53 lose digits as numbers, so that two orders would share one; Shopify sends them as text as well. */
function idOf({ id, admin_graphql_api_id: globalId }: Json): unknown {
  if (typeof id !== 'number' || Number.isSafeInteger(id)) return id
  return typeof globalId === 'string' ? /\d+$/.exec(globalId)?.[0] : undefined
}

/** Where addresses are relative. */
export const ANY_SHOP = 'https://shop.invalid'

/** Undefined for what is blank, or neither text nor a number. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value.trim() !== '' ? value : undefined
}

/** The text at the first path that has one. */
export function firstText(payload: Json, ...paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const text = textOf(valueAt(payload, path))
    if (text !== undefined) return text
  }
  return undefined
}

/** Undefined if one of its paths has no value: an incomplete id would be that of several events. */
export function fillTemplate(template: string, payload: unknown): string | undefined {
  let isWhole = true
  const filled = template.replace(/\{([^{}]+)\}/g, (_, path: string) => {
    const text = textOf(valueAt(payload, path.trim()))
    isWhole &&= text !== undefined
    return text ?? ''
  })
  return isWhole ? filled : undefined
}

/** As shops and their forms write it. */
const GIVEN = ['true', '1', 'yes', 'on']

/** What is none of `GIVEN`, also where it cannot be read, as of a client without types, withholds consent. */
export function consentIn(payload: unknown, consent: Consent): 'given' | 'withheld' | 'limited' {
  if (consent === 'send') return 'given'
  const { require, limit }: { require?: unknown; limit?: unknown } = consent
  const path = require ?? limit
  const value = typeof path === 'string' ? valueAt(payload, path) : undefined
  const text = value === true ? 'true' : textOf(value)
  if (text !== undefined && GIVEN.includes(text.trim().toLowerCase())) return 'given'
  return path === limit && path !== undefined ? 'limited' : 'withheld'
}

/** Whole seconds. What is no time stays as it is, so that the event becomes invalid and says why. */
export function secondsOf(time: string | undefined): number | string | undefined {
  const ms = msOf(time)
  return ms === undefined ? time : Math.floor(ms / 1000)
}

export function msOf(time: string | undefined): number | undefined {
  const ms = Date.parse(time ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
