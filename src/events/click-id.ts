/**
 * Pinterest's click id from the address of the page: it lands there as the query parameter `epik`. A `+` stays a `+`:
 * click ids are a Base64 text, never words with spaces between them.
 */

/** Longer addresses are sent as they are, but not searched: parsing a host can take more than linear time. */
const MAX_URL_LENGTH = 8192

/** Undefined for a text that is no address, or whose parameter is broken or empty. `base`: for addresses without a host. */
export function clickIdOf(url: string | undefined, base?: string): string | undefined {
  if (url === undefined || url.length > MAX_URL_LENGTH || !url.includes('epik=')) return undefined
  const { search } = URL.parse(url, base) ?? {}
  const encoded = search === undefined ? undefined : /[?&]epik=([^&]+)/.exec(search)?.[1]
  try {
    // Nearly all are letters and digits: decoding those takes as long as to find them.
    return encoded?.includes('%') ? decodeURIComponent(encoded) : encoded
  } catch {
    return undefined
  }
}
