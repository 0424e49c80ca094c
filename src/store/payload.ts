/**
 * A batch's payload: its events' JSON texts in UTF-8, joined so that the bytes can stand inside a JSON array as they
 * are. JSON never holds a raw line feed inside a text, so a payload can be cut at its separators without parsing.
 */
export const EVENT_SEPARATOR = ',\n'

const SEPARATOR = Buffer.from(EVENT_SEPARATOR)

/** One event a step: some megabytes of non-Latin text take tens of milliseconds. */
export function* joinInSteps(events: readonly string[]): Generator<void, Uint8Array> {
  const parts: Uint8Array[] = []
  for (const event of events) {
    parts.push(Buffer.from(event, 'utf8'))
    yield
  }
  return joinBytes(parts)
}

export function splitEvents(payload: Uint8Array): string[] {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    .toString('utf8')
    .split(EVENT_SEPARATOR)
}

/** The payload of the events at these positions alone, in the order of the positions. */
export function pickEvents(payload: Uint8Array, positions: readonly number[]): Uint8Array {
  const events = eventBytes(payload)
  return joinBytes(positions.map((position) => events[position]!))
}

/** The payload without the events at these positions; undefined when none is left. */
export function omitEvents(payload: Uint8Array, positions: readonly number[]): Uint8Array | undefined {
  if (positions.length === 0) return payload
  const omitted = new Set(positions)
  const kept = eventBytes(payload).filter((_, index) => !omitted.has(index))
  return kept.length === 0 ? undefined : joinBytes(kept)
}

/** As views: a large payload is never decoded. */
function eventBytes(payload: Uint8Array): Uint8Array[] {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
  const events: Uint8Array[] = []
  let start = 0
  for (let end = bytes.indexOf(SEPARATOR); end >= 0; end = bytes.indexOf(SEPARATOR, start)) {
    events.push(bytes.subarray(start, end))
    start = end + SEPARATOR.byteLength
  }
  events.push(bytes.subarray(start))
  return events
}

function joinBytes(events: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(events.flatMap((event, index) => (index === 0 ? [event] : [SEPARATOR, event])))
}
