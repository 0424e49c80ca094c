/**
 * Reads a post's body event by event. Each is parsed only when it is asked for, so that the parsed events are never all in memory.
 * JSON.parse's own errors quote the text they failed on, so none of them leaves this file.
 */
import { isUtf8 } from 'node:buffer'
import { InvalidRequest } from '../errors.ts'
import { numberedOr } from './lists.ts'
import { safeKey } from './report.ts'

const EVENTS_PER_POST = 1000

/**
 * Answers 1 to 1,000 unknown values, each parsed when it is asked for, which throws INVALID_REQUEST if it is no JSON. Yields
 * between steps of bounded work. Throws INVALID_REQUEST.
 */
export function* readBody(body: Buffer): Generator<void, () => Iterable<unknown>> {
  const ranges = yield* findEvents(body)
  const around = textAround(body, ranges)
  const envelope = parse(around, () => (isUtf8(body) ? NOT_JSON : NOT_UTF8))
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    throw new InvalidRequest('The body must be a JSON object with the events in "data".')
  }
  // An own property: a body may have a key `__proto__`, whose properties must not be read.
  const data = Object.hasOwn(envelope, 'data') ? numberedOr((envelope as { data: unknown }).data) : undefined
  if (!Array.isArray(data)) throw new InvalidRequest('data: must be an array of events.')
  if (data.length === 0 || data.length > EVENTS_PER_POST) {
    throw new InvalidRequest(`data: must hold 1 to ${EVENTS_PER_POST} events, not ${data.length}.`)
  }
  return () => parseEach(body, ranges, data)
}

/**
 * The body with `[n]` in place of the nth range. It is JSON, and each range is, exactly when the whole body is. All arrays at
 * that place are ranges themselves, so an array that is found there again is a placeholder.
 */
function textAround(body: Buffer, ranges: readonly Range[]): string {
  const isMarked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
  let text = ''
  let from = isMarked ? 3 : 0
  for (const [number, { start, end }] of ranges.entries()) {
    text += `${body.toString('utf8', from, start)}[${number}]`
    from = end
  }
  return text + body.toString('utf8', from)
}

function* parseEach(body: Buffer, ranges: readonly Range[], data: readonly unknown[]): Generator {
  const isText = isUtf8(body)
  for (const [index, one] of data.entries()) {
    if (!Array.isArray(one)) yield one
    else {
      const { start, end } = ranges[one[0] as number]!
      if (!isText && !isUtf8(body.subarray(start, end)))
        throw new InvalidRequest(`data[${index}]: is not valid UTF-8.`)
      yield parse(body.toString('utf8', start, end), () => `data[${index}]: is not JSON.`)
    }
  }
  if (!isText) throw new InvalidRequest(NOT_UTF8)
}

function parse(text: string, problem: () => string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidRequest(problem())
  }
}

/**
 * Finds where each event of a post begins and ends, without building anything, and bounds what is parsed at once: one event,
 * or what is around all of them. JSON.parse cannot be interrupted, and some shapes cost it seconds (700,000 keys in one
 * object: four), so no single parse may be large. Real posts are far below these bounds.
 *
 * It reads brackets, quotes, commas and colons only. JSON.parse checks whether each event, and what is
 * around them, is JSON.
 */
const DEEPEST = 32
export const MOST_KEYS = 1000
/** Of one event; an order of 2,000 items has some 15,000. */
export const MOST_VALUES = 20_000
export const MOST_BYTES = 1024 * 1024
/** Of all events together: a thousand have some two hundred values each. */
const MOST_VALUES_IN_ALL = 1_000_000
/** Of a webhook, which is parsed at once: an order of 500 lines has some 30,000. */
export const MOST_VALUES_OF_WEBHOOK = 100_000

/** From the first byte to the one after the last. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** As much as is read in some tenths of a millisecond. */
const STEP_BYTES = 256 * 1024
/** Where events are: in an array (2) of the root object (1), or in the object that PHP makes of a list with gaps. */
const EVENTS_DEPTH = 2
const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

/** How far it has read. One object, so that the loop over the bytes has its own copies: twice as fast. */
interface Scan {
  at: number
  depth: number
  /** By depth: the bracket that opened it, and the keys so far. */
  readonly opened: Uint8Array
  readonly keys: Uint32Array
  readonly events: Range[]
  readonly mostValues: number
  /** Where the present event begins; -1 between events. */
  eventStart: number
  bytesOfEvents: number
  /** Of the present event, or of what is around all of them. */
  values: number
  valuesAround: number
  valuesOfEvents: number
  /** The last text in the root object, which names the array that follows, and the position in that array. */
  name: Range
  index: number
}

/**
 * The ranges of all objects and arrays that are directly in an array or object in the root object, and of such an array's
 * texts, in their order. Yields between steps of bounded work. Throws INVALID_REQUEST.
 */
export function* findEvents(
  body: Uint8Array,
  mostValues = MOST_VALUES_IN_ALL,
): Generator<void, readonly Range[]> {
  const scan: Scan = {
    at: 0,
    depth: 0,
    opened: new Uint8Array(DEEPEST + 1),
    keys: new Uint32Array(DEEPEST + 1),
    events: [],
    mostValues,
    eventStart: -1,
    bytesOfEvents: 0,
    values: 0,
    valuesAround: 0,
    valuesOfEvents: 0,
    name: { start: 0, end: 0 },
    index: 0,
  }
  for (;;) {
    const broken = read(body, scan, Math.min(body.length, scan.at + STEP_BYTES)) ?? findTooLarge(scan)
    if (broken !== undefined) throw new InvalidRequest(placeOf(broken, body, scan) + broken)
    if (scan.at >= body.length) return scan.events
    yield
  }
}

const TOO_MANY_KEYS = `must hold at most ${MOST_KEYS} keys.`
const TOO_MANY_VALUES = `must hold at most ${MOST_VALUES} values.`
const TOO_DEEP = `must not be nested deeper than ${DEEPEST} levels.`
const TOO_LARGE = `must be at most ${MOST_BYTES} bytes.`
const WHOLE = 'The body'
const NOT_JSON = `${WHOLE} is not JSON.`
const NOT_UTF8 = `${WHOLE} is not valid UTF-8.`
const TOO_LARGE_AROUND = `${WHOLE} must hold at most ${MOST_BYTES} bytes beside its events.`

/** Reads on to `end`, or to the end of a text that begins before it. Answers the bound that is passed at `scan.at`. */
function read(body: Uint8Array, scan: Scan, end: number): string | undefined {
  const { opened, keys } = scan
  const words = wordsOf(body)
  let { at, depth, eventStart, values } = scan
  let broken: string | undefined
  for (; at < end && broken === undefined; at++) {
    const byte = body[at]!
    // Brackets and braces differ in one bit: [ and { open, ] and } close.
    const bracket = byte & ~0x20
    if (byte === QUOTE) {
      const start = at
      at = findClosingQuote(body, words, at + 1, Math.min(body.length, at + MOST_BYTES))
      if (depth === 1) scan.name = { start, end: at + 1 }
      else if (depth === EVENTS_DEPTH && eventStart < 0 && opened[depth] === OPEN_ARRAY) {
        broken = endEvent(scan, start, at + 1, 0)
      }
    } else if (byte === COMMA) {
      if (depth === EVENTS_DEPTH && eventStart < 0) scan.index++
      if (++values > MOST_VALUES) broken = TOO_MANY_VALUES
    } else if (byte === COLON) {
      if (++keys[depth]! > MOST_KEYS) broken = TOO_MANY_KEYS
    } else if (bracket === OPEN_ARRAY) {
      if (depth === EVENTS_DEPTH && eventStart < 0) {
        eventStart = at
        scan.valuesAround = values
        values = 0
      }
      if (++values > MOST_VALUES) broken = TOO_MANY_VALUES
      if (depth === DEEPEST) broken = TOO_DEEP
      else {
        depth++
        opened[depth] = byte
        keys[depth] = 0
        if (depth === EVENTS_DEPTH) scan.index = 0
      }
    } else if (bracket === CLOSE_ARRAY) {
      if (depth > 0) depth--
      if (depth === EVENTS_DEPTH && eventStart >= 0) {
        broken = endEvent(scan, eventStart, at + 1, values)
        eventStart = -1
        values = scan.valuesAround
      }
    }
  }
  Object.assign(scan, { at, depth, eventStart, values })
  return broken
}

function endEvent(scan: Scan, start: number, end: number, values: number): string | undefined {
  scan.events.push({ start, end })
  scan.bytesOfEvents += end - start
  scan.valuesOfEvents += values
  if (end - start > MOST_BYTES) return TOO_LARGE
  return scan.valuesOfEvents > scan.mostValues
    ? `${WHOLE} must hold at most ${scan.mostValues} values.`
    : undefined
}

function findTooLarge({ at, eventStart, bytesOfEvents }: Scan): string | undefined {
  if (eventStart >= 0) return at - eventStart > MOST_BYTES ? TOO_LARGE : undefined
  return at - bytesOfEvents > MOST_BYTES ? TOO_LARGE_AROUND : undefined
}

/** Such as `data[3].custom_data: `. Never a value: a name that does not look like a field's is not shown. */
function placeOf(broken: string, body: Uint8Array, scan: Scan): string {
  const { at, depth, opened, eventStart, name, index } = scan
  if (broken.startsWith(WHOLE)) return ''
  if (depth < EVENTS_DEPTH) return `${WHOLE} `
  const position = opened[EVENTS_DEPTH] === OPEN_ARRAY ? `[${index}]` : ''
  const within = broken === TOO_MANY_KEYS && eventStart >= 0 ? pathWithin(body, eventStart, at) : ''
  return `${keyOf(body, name)}${position}${within}: `
}

/** From an event to the innermost object that is open at `end`, such as `.custom_data.contents[3]`. */
function pathWithin(body: Uint8Array, start: number, end: number): string {
  const steps: string[] = []
  /** By depth; -1 in an object. */
  const indexes: number[] = []
  let text: Range = { start: 0, end: 0 }
  for (let at = start; at < end; at++) {
    const byte = body[at]!
    const bracket = byte & ~0x20
    if (byte === QUOTE) {
      const closing = findClosingQuote(body, wordsOf(body), at + 1, end)
      text = { start: at, end: closing + 1 }
      at = closing
    } else if (byte === COLON) steps[steps.length - 1] = `.${keyOf(body, text)}`
    else if (byte === COMMA && indexes.at(-1)! >= 0)
      steps[steps.length - 1] = `[${++indexes[indexes.length - 1]!}]`
    else if (bracket === OPEN_ARRAY) {
      steps.push(byte === OPEN_ARRAY ? '[0]' : '')
      indexes.push(byte === OPEN_ARRAY ? 0 : -1)
    } else if (bracket === CLOSE_ARRAY) {
      steps.pop()
      indexes.pop()
    }
  }
  return steps.slice(0, -1).join('')
}

function keyOf(body: Uint8Array, { start, end }: Range): string {
  return safeKey(Buffer.from(body.subarray(start + 1, Math.min(end - 1, start + 64))).toString('latin1'))
}

/** Where the text ends that begins here. Four bytes at once, which halves the time for hashes; `words`: see `wordsOf`. */
function findClosingQuote(body: Uint8Array, words: Int32Array, start: number, limit: number): number {
  const skew = body.byteOffset & 3
  let at = start
  while (at < limit) {
    if (((at + skew) & 3) === 0) {
      while (at + 4 <= limit && !holdsEither(words[(at + skew) >> 2]!)) at += 4
      if (at >= limit) return at
    }
    const byte = body[at]
    if (byte === QUOTE) return at
    at += byte === BACKSLASH ? 2 : 1
  }
  return at
}

/** Is one of four bytes a quote or a backslash? (A byte is zero where subtracting one borrows from its upper bit.) */
function holdsEither(word: number): boolean {
  const quotes = word ^ (QUOTE * ONES)
  const backslashes = word ^ (BACKSLASH * ONES)
  return ((((quotes - ONES) & ~quotes) | ((backslashes - ONES) & ~backslashes)) & UPPER_BITS) !== 0
}

const ONES = 0x01010101
const UPPER_BITS = 0x80808080

/** From the last boundary of four bytes before the body. */
function wordsOf({ buffer, byteOffset, byteLength }: Uint8Array): Int32Array {
  const skew = byteOffset & 3
  return new Int32Array(buffer, byteOffset - skew, (skew + byteLength) >> 2)
}
