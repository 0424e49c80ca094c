/**
 * Reads a post's body. JSON.parse's own errors quote the text they failed on, so none of them goes further than here.
 */
import { isUtf8 } from 'node:buffer'
import { InvalidRequest } from '../errors.ts'
import { findShapeProblem } from './body-shape.ts'

const EVENTS_PER_POST = 1000

/** The events of a post: 1 to 1,000 unknown values. Throws INVALID_REQUEST. */
export function readEvents(body: Buffer): readonly unknown[] {
  if (!isUtf8(body)) throw new InvalidRequest('The body is not valid UTF-8.')
  const problem = findShapeProblem(body)
  if (problem !== undefined) throw new InvalidRequest(problem)
  const envelope = parse(body)
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    throw new InvalidRequest('The body must be a JSON object with the events in "data".')
  }
  // An own property: a body may call itself `__proto__`, and must not get anything from there.
  const data: unknown = Object.hasOwn(envelope, 'data') ? (envelope as { data: unknown }).data : undefined
  if (!Array.isArray(data)) throw new InvalidRequest('data: must be an array of events.')
  if (data.length === 0 || data.length > EVENTS_PER_POST) {
    throw new InvalidRequest(`data: must hold 1 to ${EVENTS_PER_POST} events, not ${data.length}.`)
  }
  return data
}

function parse(body: Buffer): unknown {
  try {
    const isMarked = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf
    return JSON.parse(body.toString('utf8', isMarked ? 3 : 0))
  } catch {
    throw new InvalidRequest('The body is not JSON.')
  }
}
