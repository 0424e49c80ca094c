/**
 * Pinterest's click id from the address of the page: it lands there as the query parameter `epik`. A `+` stays a `+`:
 * click ids are a Base64 text, never words with spaces between them.
 */
import type { RawObject } from './coerce/object.ts'
import { isAbsent } from './coerce/reading.ts'
import { normalizeUserData, type NormalizeContext } from './normalize/user-data.ts'

/** Longer addresses are sent as they are, but not searched: parsing a host can take more than linear time. */
const MAX_URL_LENGTH = 8192

/** `user_data` with the click id of the page's address, if it has none of its own that can be sent. */
export function withClickId(
  userData: RawObject,
  eventSourceUrl: string,
  context: NormalizeContext,
): RawObject {
  const clickId = readClickId(eventSourceUrl)
  if (clickId === undefined || hasUsableClickId(userData, context)) return userData
  return { ...userData, click_id: clickId }
}

/** Undefined for a text that is no absolute address, or whose parameter is broken or empty. */
function readClickId(url: string): string | undefined {
  if (url.length > MAX_URL_LENGTH || !url.includes('epik=')) return undefined
  const search = URL.parse(url)?.search ?? ''
  const encoded = /[?&]epik=([^&]+)/.exec(search)?.[1]
  if (encoded === undefined) return undefined
  try {
    return decodeURIComponent(encoded)
  } catch {
    return undefined
  }
}

/** One that will be dropped, such as `null` as text, counts as missing; else a retry could be sent other bytes. */
function hasUsableClickId({ click_id: clickId }: RawObject, context: NormalizeContext): boolean {
  if (isAbsent(clickId)) return false
  return normalizeUserData({ click_id: clickId }, context, () => {}).click_id !== undefined
}
