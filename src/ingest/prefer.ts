/** The Prefer header (RFC 7240), as far as the relay knows preferences: `respond-async` and `wait=N`. */
export interface Preference {
  readonly waitMs: number
  /** What goes into Preference-Applied; undefined when nothing was asked for: then the answer is never 202. */
  readonly applied: string | undefined
}

const LONGEST_WAIT_S = 30

/** Unknown and malformed preferences are ignored, as the RFC wants it. The first mention of a preference counts. */
export function readPrefer(header: string | string[] | undefined, defaultWaitMs: number): Preference {
  if (header === undefined) return { waitMs: defaultWaitMs, applied: undefined }
  const tokens = (Array.isArray(header) ? header.join(',') : header)
    .split(',')
    .map((token) => token.split(';')[0]!.trim().toLowerCase())
  const isAsync = tokens.includes('respond-async')
  const seconds = tokens.map((token) => /^wait\s*=\s*"?(\d{1,15})"?$/.exec(token)?.[1]).find(Boolean)
  if (seconds === undefined) {
    return isAsync ? { waitMs: 0, applied: 'respond-async' } : { waitMs: defaultWaitMs, applied: undefined }
  }
  // Together they mean: wait so long, then answer 202 (RFC 7240, 4.3), as `wait` alone does here.
  const waitS = Math.min(LONGEST_WAIT_S, Number(seconds))
  return { waitMs: waitS * 1000, applied: isAsync ? `respond-async, wait=${waitS}` : `wait=${waitS}` }
}
