/**
 * Makes events of a custom source's webhook with its JSONata expression. Bounded in depth and size here, in time by
 * whoever runs it (store/engine/expressions.ts): JSONata cannot stop a regular expression.
 */
import jsonata from 'jsonata'
import { consentIn, isJsonObject } from './payload.ts'
import { limited, parseJson } from './map.ts'
import type { MappedPost, Webhook } from './source.ts'

const LIMITS = { stack: 500, sequence: 100_000 }
const MOST_BYTES = 4 * 1024 * 1024

/** Undefined where it can be read; or what is wrong with it. */
export function findFault(expression: string): string | undefined {
  try {
    jsonata(expression)
    return undefined
  } catch (error) {
    return describe(error)
  }
}

export async function evaluate(
  { options: { expression = '', consent }, headers }: Pick<Webhook, 'options' | 'headers'>,
  payload: Uint8Array,
): Promise<MappedPost> {
  const body = parseJson(payload) ?? readForm(headers['content-type'], payload)
  if (body === undefined)
    return { status: 'invalid', reason: 'not_json', message: 'the body is neither JSON nor a form' }
  const consented = consentIn(body, consent)
  if (consented === 'withheld') return filtered('no_consent')
  try {
    const made: unknown = await jsonata(expression, LIMITS).evaluate({ headers, body })
    const events = Array.isArray(made) ? made : made === undefined || made === null ? [] : [made]
    if (events.length === 0) return filtered('no_event')
    if (!events.every(isJsonObject)) return failed('makes something that is no event')
    const data = consented === 'limited' ? events.map((event) => limited(event)) : events
    const json = Buffer.from(JSON.stringify({ data }))
    return json.byteLength > MOST_BYTES
      ? failed(`makes more than ${MOST_BYTES} bytes`)
      : { status: 'mapped', payload: json }
  } catch (error) {
    return failed(`failed: ${describe(error)}`)
  }
}

export function failed(what: string): MappedPost {
  return { status: 'invalid', reason: 'mapping_failed', message: `the expression ${what}` }
}

function filtered(reason: 'no_consent' | 'no_event'): MappedPost {
  return { status: 'filtered', reason, eventName: undefined, eventId: undefined }
}

/** JSONata's texts may quote a value of the payload; its codes are documented. */
function describe(error: unknown): string {
  const { code, position } = error as { readonly code?: unknown; readonly position?: unknown }
  const what = typeof code === 'string' && /^[A-Z]\d{4}$/.test(code) ? `JSONata error ${code}` : 'an error'
  return typeof position === 'number' ? `${what} at character ${position}` : what
}

function readForm(contentType: string | undefined, payload: Uint8Array) {
  if (contentType?.toLowerCase().startsWith('application/x-www-form-urlencoded') !== true) return undefined
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
  return Object.fromEntries(new URLSearchParams(text))
}
