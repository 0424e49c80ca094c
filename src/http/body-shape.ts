/**
 * Bounds what parsing a large body may cost, before it is parsed: a few megabytes of brackets or commas become gigabytes
 * of objects and seconds of a stalled loop. No honest post comes near these bounds.
 */
const DEEPEST = 32
/** A thousand events have some two hundred values each. */
const MOST_VALUES = 1_000_000
/** Smaller bodies cannot hold enough to matter; the look at larger ones takes about a millisecond per megabyte. */
const HARMLESS_BYTES = 64 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** What is wrong with a JSON text's shape; texts that are no JSON pass, for the parser to refuse. */
export function findShapeProblem(body: Uint8Array): string | undefined {
  if (body.length <= HARMLESS_BYTES) return undefined
  let depth = 0
  let values = 0
  let isInText = false
  for (let at = 0; at < body.length; at++) {
    const byte = body[at]
    if (isInText) {
      if (byte === BACKSLASH) at++
      else if (byte === QUOTE) isInText = false
      continue
    }
    // Brackets and braces differ in one bit: [ and { open, ] and } close.
    const bracket = byte! & ~0x20
    if (byte === QUOTE) isInText = true
    else if (byte === COMMA) values++
    else if (bracket === 0x5b) {
      values++
      depth++
    } else if (bracket === 0x5d) depth--
    if (depth > DEEPEST) return `The body is nested deeper than ${DEEPEST} levels.`
    if (values > MOST_VALUES) return `The body holds more than ${MOST_VALUES} values.`
  }
  return undefined
}
