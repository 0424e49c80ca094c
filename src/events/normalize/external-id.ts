/** The storefront's own customer id, as it is: it must equal what the browser tag sends. */
import { type Normalized, normalizedAs } from './normalized.ts'

export function normalizeExternalId(text: string): Normalized {
  return normalizedAs(text)
}
