/**
 * A batch's payload: its events' JSON texts in UTF-8, joined so that the bytes fit into a JSON array. JSON
 * never holds a raw line feed inside a text, so a payload can be cut at its separators without parsing.
 */
export const EVENT_SEPARATOR = ',\n'

const SEPARATOR = Buffer.from(EVENT_SEPARATOR)

/** Joins events as they are made, so that their texts need not be kept. `rawBytes`: of the post that they come from. */
export function createJoin(rawBytes: number) {
  let bytes = EMPTY
  let length = 0

  function makeRoom(more: number): void {
    if (length + more <= bytes.byteLength) return
    // Unlike `allocUnsafe`, never a part of a shared one: what is not written to takes no memory.
    const larger = Buffer.allocUnsafeSlow(Math.max(Math.ceil(ROOM * rawBytes), 2 * length) + more)
    larger.set(bytes.subarray(0, length))
    bytes = larger
  }

  return {
    add(event: string): void {
      if (length === 0) {
        bytes = Buffer.from(event)
        length = bytes.byteLength
        return
      }
      makeRoom(SEPARATOR.byteLength + MOST_BYTES_PER_UNIT * event.length)
      length += SEPARATOR.copy(bytes, length)
      length += bytes.write(event, length)
    },
    /** The joined bytes. Nothing may be added afterwards. */
    bytes(): Uint8Array {
      if (length === bytes.byteLength) return bytes
      return new Uint8Array(bytes.buffer.transfer(length))
    },
  }
}

/** Hashes make raw events half as long again; what is already hashed stays as long. Growing leaves the smaller buffer as garbage. */
const ROOM = 1.75
/** UTF-8 of a UTF-16 code unit. */
const MOST_BYTES_PER_UNIT = 3
const EMPTY = Buffer.alloc(0)

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

/** Views of the payload's bytes: a large payload is never decoded. */
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

/** At once: until garbage is collected, bodies that were read add up to tens of megabytes. A part of a shared buffer stays. */
export function freeBytes({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
