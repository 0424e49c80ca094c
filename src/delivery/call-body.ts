/** The body of a call: the join of the slices' bytes. Nothing is parsed or serialized again. */
import { EVENT_SEPARATOR } from '../store/payload.ts'
import type { Slice } from './batch.ts'

const OPENING = Buffer.from('{"data":[')
const SEPARATOR = Buffer.from(EVENT_SEPARATOR)
const CLOSING = Buffer.from(']}')

export function callBody(slices: readonly Slice[]): Uint8Array {
  const parts: Uint8Array[] = [OPENING]
  for (const { payload } of slices) {
    if (parts.length > 1) parts.push(SEPARATOR)
    parts.push(payload)
  }
  parts.push(CLOSING)
  return Buffer.concat(parts)
}
