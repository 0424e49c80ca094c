/**
 * Bounds what parsing a large body may cost, before it is parsed: a few megabytes of brackets or commas become gigabytes
 * of objects and seconds of a stalled loop. No honest post comes near these bounds.
 */
import { LARGE_BYTES } from './room.ts'

const DEEPEST = 32
/** A thousand events have some two hundred values each. */
const MOST_VALUES = 1_000_000
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c

/** What is wrong with a JSON text's shape; texts that are no JSON pass, for the parser to refuse. */
export function findShapeProblem(body: Uint8Array): string | undefined {
  // Smaller ones cannot hold enough to matter; the look at larger ones takes about a millisecond per megabyte.
  if (body.length < LARGE_BYTES) return undefined
  let depth = 0
  let values = 0
  const { length } = body
  for (let at = 0; at < length; at++) {
    const byte = body[at]!
    // Brackets and braces differ in one bit: [ and { open, ] and } close.
    const bracket = byte & ~0x20
    if (byte === QUOTE) at = findClosingQuote(body, at + 1)
    else if (byte === COMMA) values++
    else if (bracket === 0x5b) {
      values++
      if (++depth > DEEPEST) return `The body is nested deeper than ${DEEPEST} levels.`
    } else if (bracket === 0x5d) depth--
    if (values > MOST_VALUES) return `The body holds more than ${MOST_VALUES} values.`
  }
  return undefined
}

/** Where the text ends that begins here. A loop of its own: it takes 1.1 instead of 2.3 ms for 0.8 MB. */
function findClosingQuote(body: Uint8Array, start: number): number {
  const { length } = body
  let at = start
  for (let byte = body[at]; at < length && byte !== QUOTE; byte = body[at]) at += byte === BACKSLASH ? 2 : 1
  return at
}
