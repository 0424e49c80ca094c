/**
 * Reads a post's body, event by event: none is parsed before it is asked for, and all of them never stand in memory parsed.
 * JSON.parse's own errors quote the text they failed on, so none of them goes further than here.
 */
import { isUtf8 } from 'node:buffer'
import { InvalidRequest } from '../errors.ts'
import { findEvents, type Range } from './body-shape.ts'
import { numberedOr } from './lists.ts'

const EVENTS_PER_POST = 1000

export interface ReadBody {
  /** The body's object, with a stand-in for each event. */
  readonly envelope: Readonly<Record<string, unknown>>
  /** 1 to 1,000 unknown values, each parsed when it is asked for, which throws INVALID_REQUEST if it is no JSON. */
  readonly events: () => Iterable<unknown>
}

/** Yields between steps of bounded work. Throws INVALID_REQUEST. */
export function* readBody(body: Buffer): Generator<void, ReadBody> {
  if (!isUtf8(body)) throw new InvalidRequest('The body is not valid UTF-8.')
  const ranges = yield* findEvents(body)
  const envelope = parse(textAround(body, ranges))
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    throw new InvalidRequest('The body must be a JSON object with the events in "data".')
  }
  // An own property: a body may call itself `__proto__`, and must not get anything from there.
  const data = Object.hasOwn(envelope, 'data') ? numberedOr((envelope as { data: unknown }).data) : undefined
  if (!Array.isArray(data)) throw new InvalidRequest('data: must be an array of events.')
  if (data.length === 0 || data.length > EVENTS_PER_POST) {
    throw new InvalidRequest(`data: must hold 1 to ${EVENTS_PER_POST} events, not ${data.length}.`)
  }
  return { envelope: envelope as Record<string, unknown>, events: () => parseEach(body, ranges, data) }
}

/**
 * The body with `[n]` in place of the nth range. It is JSON, and each range is, exactly when the whole body is. All arrays at
 * that place are ranges themselves, so an array that is found there again is a stand-in.
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

function* parseEach(
  body: Buffer,
  ranges: readonly Range[],
  data: readonly unknown[],
): Generator<unknown, void> {
  for (const one of data) {
    if (!Array.isArray(one)) yield one
    else {
      const { start, end } = ranges[one[0] as number]!
      yield parse(body.toString('utf8', start, end))
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new InvalidRequest('The body is not JSON.')
  }
}
