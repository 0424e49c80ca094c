/**
 * A parcel's payload: its events' JSON texts in UTF-8, joined so that the bytes can stand inside a JSON array as they
 * are. JSON never holds a raw line feed inside a text, so a payload can be cut at its separators without parsing.
 */
export const EVENT_SEPARATOR = ',\n'

export function joinEvents(events: readonly string[]): Uint8Array {
  return Buffer.from(events.length === 1 ? events[0]! : events.join(EVENT_SEPARATOR), 'utf8')
}

export function splitEvents(payload: Uint8Array): string[] {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    .toString('utf8')
    .split(EVENT_SEPARATOR)
}

/** The payload without the events at these positions; undefined when none is left. */
export function omitEvents(payload: Uint8Array, positions: readonly number[]): Uint8Array | undefined {
  if (positions.length === 0) return payload
  const omitted = new Set(positions)
  const kept = splitEvents(payload).filter((_, index) => !omitted.has(index))
  return kept.length === 0 ? undefined : joinEvents(kept)
}
